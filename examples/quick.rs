//! q
use epsilon_clock::*;
use std::time::*;
fn main() {
    let c = Clock::builder().assume_error(Duration::from_millis(5)).build().unwrap();
    println!("{:?}", c.now());
    println!("{} {:?}", c.read(), c.status());
    println!("{:?}", Clock::system().unwrap().now().map_err(|e| e.to_string()));
    for _ in 0..5 {
    let n = 20_000_000;
    let t = Instant::now();
    for _ in 0..n { std::hint::black_box(nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).map(|t| t.tv_sec()*1_000_000_000 + t.tv_nsec()).unwrap()); }
    let a = t.elapsed().as_nanos() as f64 / n as f64;
    let t = Instant::now();
    for _ in 0..n { std::hint::black_box(c.now().unwrap()); }
    let b = t.elapsed().as_nanos() as f64 / n as f64;
    println!("bare {a:.2} now {b:.2} ratio {:.3}", b/a);
    }
    println!("{:?} size {}", c.status().counters, std::mem::size_of::<Clock>());
}
