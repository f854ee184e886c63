//! What one request costs: messages to peers and locks, counted where they happen.

use std::cell::Cell;

tokio::task_local! {
    static COUNTS: (Cell<u64>, Cell<u64>);
}

pub struct Costs;

impl Costs {
    pub fn message() {
        let _ = COUNTS.try_with(|(messages, _)| messages.set(messages.get() + 1));
    }

    pub fn lock() {
        let _ = COUNTS.try_with(|(_, locks)| locks.set(locks.get() + 1));
    }

    /// Runs a request, and returns the messages and locks that it took.
    pub async fn of<T>(request: impl Future<Output = T>) -> (T, u64, u64) {
        let counted = async {
            let result = request.await;
            let (messages, locks) = COUNTS.with(|(messages, locks)| (messages.get(), locks.get()));
            (result, messages, locks)
        };
        COUNTS.scope((Cell::new(0), Cell::new(0)), counted).await
    }
}
