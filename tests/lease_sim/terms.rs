//! Leases for a duration, granted by a service that counts by raw time and knows no UTC.
