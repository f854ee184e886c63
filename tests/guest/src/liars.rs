//! x
pub(crate) fn timesyncd() {}
pub(crate) fn ntpsec() {}
pub(crate) fn openntpd() {}
