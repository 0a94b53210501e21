//! Rate limits: bandwidth and requests, with a calendar, on a clock that tests can hold.
