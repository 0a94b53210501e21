//! How many bytes may be in memory, for the whole process.
//!
//! Bytes are claimed before they are read. A claim is taken whole, first come first served, and
//! travels with the bytes; dropping it frees them. Order of waiting, so that nobody holds what
//! another needs: memory first, then an upload permit. Whoever holds an upload permit already
//! holds all the memory it will use, and whoever holds memory waits only for upload permits.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::types::{ByteCount, KIB};

/// One cell of the budget: claims are rounded up to whole cells, so that budgets beyond 4 GiB fit
/// the semaphore's counter.
const CELL: ByteCount = 4 * KIB;

/// The process's byte budget. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    cells: Arc<Semaphore>,
    total: u32,
}

/// The right to hold some bytes; frees them on drop.
#[derive(Debug)]
pub struct Claim {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `bytes`, at least one cell.
    pub fn new(bytes: ByteCount) -> Self {
        let total = u32::try_from((bytes / CELL).max(1)).unwrap_or(u32::MAX);
        Self {
            cells: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// The whole budget in bytes.
    pub fn total(&self) -> ByteCount {
        u64::from(self.total) * CELL
    }

    /// Bytes claimed now.
    pub fn in_use(&self) -> ByteCount {
        self.total() - self.cells.available_permits() as u64 * CELL
    }

    /// Waits for the right to hold `bytes`, all at once. More than the whole budget counts as the
    /// whole budget: such a caller must use its claim as a window and not hold more than
    /// [`Budget::total`] at a time. Dropping the future leaves the queue.
    pub async fn claim(&self, bytes: ByteCount) -> Claim {
        let cells = u32::try_from(bytes.div_ceil(CELL))
            .unwrap_or(u32::MAX)
            .clamp(1, self.total);
        let permit = Arc::clone(&self.cells).acquire_many_owned(cells).await;
        Claim {
            _permit: permit.expect("the budget's semaphore is never closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::types::MIB;

    #[tokio::test]
    async fn claims_are_served_in_order_and_freed_on_drop() {
        let budget = Budget::new(10 * MIB);
        let first = budget.claim(6 * MIB).await;
        let mut large = Box::pin(budget.claim(8 * MIB));
        assert!((&mut large).now_or_never().is_none());
        // A small one behind a large one waits its turn: large claims do not starve.
        let mut small = Box::pin(budget.claim(MIB));
        assert!((&mut small).now_or_never().is_none());
        drop(first);
        let large = large.await;
        let small = small.await;
        assert_eq!(budget.in_use(), 9 * MIB);
        drop((large, small));
        assert_eq!(budget.in_use(), 0);
    }

    #[tokio::test]
    async fn a_claim_beyond_the_budget_gets_all_of_it() {
        let budget = Budget::new(MIB);
        let claim = budget.claim(64 * MIB).await;
        assert_eq!(budget.in_use(), MIB);
        drop(claim);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_the_queue() {
        let budget = Budget::new(MIB);
        let all = budget.claim(MIB).await;
        let mut waiting = Box::pin(budget.claim(MIB));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        drop(all);
        assert!(budget.claim(MIB).now_or_never().is_some());
    }
}
