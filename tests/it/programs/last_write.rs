//! Last write wins over UDP: rows that carry hybrid stamps, on nodes whose clocks differ.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use epsilon_clock::hlc::{HlcError, ReserveRecord};
use epsilon_clock::testing::Skewed;
use epsilon_clock::{HybridClock, RemoteTimestamp, TimeDelta};
use serde::{Deserialize, Serialize};

type Fault = Box<dyn Error + Send + Sync>;

/// One row, in memory and in a datagram. Two nodes may issue one stamp: then the greater name wins.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Row {
    key: String,
    value: String,
    written: RemoteTimestamp,
    node: String,
}

impl Row {
    fn rank(&self) -> (RemoteTimestamp, &str) {
        (self.written, &self.node)
    }
}

struct Node {
    name: &'static str,
    hlc: HybridClock,
    socket: UdpSocket,
    rows: BTreeMap<String, Row>,
}

/// Where a node keeps the record of its reserve.
type Disk = Arc<Mutex<Option<ReserveRecord>>>;

impl Node {
    fn start(name: &'static str, skewed: &Skewed, disk: &Disk) -> Result<Self, Fault> {
        let (kept, file) = (*disk.lock().unwrap(), Arc::clone(disk));
        let builder = HybridClock::builder(skewed.clock()?);
        let builder = match kept {
            Some(record) => builder.resume_from_reserve(record),
            None => builder,
        };
        let hlc = builder.reserve(Duration::from_secs(3), move |record| {
            *file.lock().unwrap() = Some(record);
            Ok(())
        });
        Ok(Self {
            name,
            hlc: hlc.build()?,
            socket: UdpSocket::bind("127.0.0.1:0")?,
            rows: BTreeMap::new(),
        })
    }

    fn write(&mut self, key: &str, value: &str, peer: SocketAddr) -> Result<(), Fault> {
        let row = Row {
            key: key.to_owned(),
            value: value.to_owned(),
            written: self.hlc.tick()?.into(),
            node: self.name.to_owned(),
        };
        self.socket.send_to(&serde_json::to_vec(&row)?, peer)?;
        self.merge(row);
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Fault> {
        let mut datagram = [0; 512];
        self.socket
            .set_read_timeout(Some(Duration::from_secs(10)))?;
        let (length, _) = self.socket.recv_from(&mut datagram)?;
        let row: Row = serde_json::from_slice(&datagram[..length])?;
        self.hlc.observe(row.written)?; // refuses what no honest clock can have written
        self.merge(row);
        Ok(())
    }

    fn merge(&mut self, row: Row) {
        let stored = self.rows.get(&row.key);
        if stored.is_none_or(|stored| stored.rank() < row.rank()) {
            self.rows.insert(row.key.clone(), row);
        }
    }

    /// Ends the node, and keeps where its stamps were: the next one begins no reserve ahead.
    fn shut_down(self, disk: &Disk) -> Result<(), Fault> {
        let record = self.hlc.into_record().map_err(|_| "still in use")?;
        *disk.lock().unwrap() = Some(record);
        Ok(())
    }
}

fn address(node: &Node) -> SocketAddr {
    node.socket.local_addr().unwrap()
}

#[test]
fn last_write_wins_over_udp() -> Result<(), Fault> {
    let epsilon = Duration::from_millis(50);
    let ahead = Skewed::new(TimeDelta::from_nanos(40_000_000), epsilon)?;
    let behind = Skewed::new(TimeDelta::from_nanos(-40_000_000), epsilon)?;
    let disks: [Disk; 2] = Default::default();
    let mut a = Node::start("a", &ahead, &disks[0])?;
    let mut b = Node::start("b", &behind, &disks[1])?;

    // What was read there and then written here wins, though this clock is behind.
    a.write("x", "first", address(&b))?;
    b.receive()?;
    b.write("x", "second, having read the first", address(&a))?;
    a.receive()?;
    // Writes that no node knew of when it wrote: both nodes keep one and the same.
    a.write("y", "a's", address(&b))?;
    b.write("y", "b's", address(&a))?;
    a.receive()?;
    b.receive()?;
    assert_eq!(a.rows, b.rows);
    assert_eq!(a.rows["x"].value, "second, having read the first");

    // A stamp that no honest clock can have written is refused, and changes nothing.
    let mut corrupt = a.rows["y"].clone();
    corrupt.written = RemoteTimestamp::from_be_bytes([0xff; 8]);
    b.socket
        .send_to(&serde_json::to_vec(&corrupt)?, address(&a))?;
    let refused = a.receive().unwrap_err();
    let refused = refused.downcast_ref::<HlcError>();
    assert!(matches!(refused, Some(HlcError::TooFarAhead { .. })));
    assert_eq!(a.rows, b.rows);

    // A clean shutdown, and a start that does not jump by the reserve of three seconds.
    let last = a.hlc.last();
    a.shut_down(&disks[0])?;
    let again = Node::start("a", &ahead, &disks[0])?;
    let next = again.hlc.tick()?;
    assert!(next > last);
    let jump = next.physical().abs_diff(last.physical());
    assert!(jump < Duration::from_secs(2), "{jump:?}");
    Ok(())
}
