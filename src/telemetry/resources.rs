//! What this process has used of the machine, as the kernel counts it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::types::{ByteCount, KIB};

/// CPU time and memory of this process since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// CPU time of all threads, in user space and in the kernel.
    pub cpu: Duration,
    /// Most memory resident at once, in bytes; `None` where the kernel does not tell.
    pub peak_memory: Option<ByteCount>,
}

impl Resources {
    /// Reads them now.
    pub fn now() -> Self {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(spent.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(spent.tv_nsec).unwrap_or(0);
        Self {
            cpu: Duration::new(seconds, nanos),
            peak_memory: std::fs::read_to_string("/proc/self/status")
                .ok()
                .and_then(|status| peak(&status)),
        }
    }
}

/// `VmHWM` of `proc_pid_status(5)`, in bytes.
fn peak(status: &str) -> Option<ByteCount> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim();
    kib.parse::<ByteCount>().ok()?.checked_mul(KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kib() {
        let status = "Name:\tlonghaul\nVmPeak:\t  900000 kB\nVmHWM:\t    2048 kB\n";
        assert_eq!(peak(status), Some(2048 * KIB));
        assert_eq!(peak("Name:\tlonghaul\n"), None);
        assert_eq!(peak("VmHWM:\tmuch kB\n"), None);
    }

    #[test]
    fn work_costs_cpu_time_and_memory() {
        let before = Resources::now();
        let mut sum = 0_u64;
        let filled = vec![1_u8; 8 << 20];
        for _ in 0..8 {
            sum += filled.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        let after = Resources::now();
        assert_eq!(sum, 8 * (8 << 20));
        assert!(after.cpu > before.cpu);
        assert!(after.peak_memory.is_none_or(|peak| peak > 8 << 20));
    }
}
