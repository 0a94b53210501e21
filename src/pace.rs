//! x
pub struct Pace {}
impl Pace {
    pub async fn take(&self, _b: u64) {}
}
