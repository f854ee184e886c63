//! Liveness: how long a lease that nobody renews keeps everybody out.
