//! Three etcds on loopback, and the little of their JSON gateway that a lock needs.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// etcd's gateway has bytes as base64; the keys and values here are short and plain.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() {
                DIGITS[digit as usize].into()
            } else {
                '='
            });
        }
    }
    text
}

/// etcd writes 64-bit numbers as text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The servers' processes, and a client of them.
pub struct Etcd {
    pub client: Client,
    children: Vec<Child>,
    directory: PathBuf,
}

/// Asks servers, of which some may be stopped.
pub struct Client {
    pub addresses: Vec<SocketAddr>,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Etcd {
    /// Starts three servers, and waits until they have a leader.
    pub fn start(program: &Path) -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("epsilon-etcd-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let peers = [free_address()?, free_address()?, free_address()?];
        let addresses = vec![free_address()?, free_address()?, free_address()?];
        let names = ["n1", "n2", "n3"];
        let cluster: Vec<String> = names
            .iter()
            .zip(peers)
            .map(|(name, peer)| format!("{name}=http://{peer}"))
            .collect();
        let mut etcd = Self {
            client: Client { addresses },
            children: Vec::new(),
            directory,
        };
        for ((name, peer), client) in names.iter().zip(peers).zip(&etcd.client.addresses) {
            let child = Command::new(program)
                .args([
                    "--name",
                    name,
                    "--heartbeat-interval",
                    "100",
                    "--election-timeout",
                    "1000",
                ])
                .args(["--data-dir", &etcd.directory.join(name).to_string_lossy()])
                .args(["--listen-peer-urls", &format!("http://{peer}")])
                .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
                .args(["--listen-client-urls", &format!("http://{client}")])
                .args(["--advertise-client-urls", &format!("http://{client}")])
                .args(["--initial-cluster", &cluster.join(",")])
                // A test has no need to outlive a machine.
                .args(["--unsafe-no-fsync", "--log-level", "error"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            etcd.children.push(child);
        }
        let began = Instant::now();
        while etcd.client.leader().is_none() {
            if began.elapsed() > Duration::from_secs(60) {
                return Err(io::Error::other(
                    "three etcds elected no leader within a minute",
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(etcd)
    }

    pub fn signal(&self, node: usize, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.children[node]), signal);
    }
}

impl Client {
    /// Asks one server, for `patience` at most.
    fn ask_one(
        &self,
        node: usize,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> io::Result<Value> {
        let address = &self.addresses[node];
        let mut stream = TcpStream::connect_timeout(address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or(io::ErrorKind::InvalidData)?;
        if !head.contains(" 200 ") {
            return Err(io::Error::other(body.trim().to_owned()));
        }
        Ok(serde_json::from_str(body)?)
    }

    /// Asks one server after the other until one answers.
    pub fn ask(&self, path: &str, body: &Value) -> io::Result<Value> {
        let began = Instant::now();
        loop {
            for node in 0..self.addresses.len() {
                if let Ok(answer) = self.ask_one(node, path, body, Duration::from_secs(2)) {
                    return Ok(answer);
                }
            }
            if began.elapsed() > Duration::from_secs(60) {
                return Err(io::Error::other(format!("no etcd answers {path}")));
            }
        }
    }

    /// Returns which server leads, as the servers themselves say.
    pub fn leader(&self) -> Option<usize> {
        (0..self.addresses.len()).find(|node| {
            let status = self.ask_one(
                *node,
                "/v3/maintenance/status",
                &json!({}),
                Duration::from_millis(500),
            );
            status.is_ok_and(|status| {
                let own = status["header"]["member_id"].as_str();
                own.is_some() && own == status["leader"].as_str()
            })
        })
    }

    /// Grants a lease; returns its number.
    pub fn grant(&self, ttl: i64) -> io::Result<i64> {
        let answer = self.ask("/v3/lease/grant", &json!({ "TTL": ttl.to_string() }))?;
        number(&answer["ID"]).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// Revokes a lease, as an operator may at any time.
    pub fn revoke(&self, lease: i64) -> io::Result<()> {
        self.ask("/v3/lease/revoke", &json!({ "ID": lease.to_string() }))
            .map(drop)
    }

    /// Creates the key under the lease if it is not there; returns its create revision.
    pub fn create(&self, key: &str, lease: i64) -> io::Result<Option<i64>> {
        let key = base64(key.as_bytes());
        let absent = json!({ "compare": [{ "key": key, "target": "CREATE", "create_revision": "0" }],
            "success": [{ "request_put": { "key": key, "value": key, "lease": lease.to_string() } }] });
        let answer = self.ask("/v3/kv/txn", &absent)?;
        let created = answer["succeeded"].as_bool() == Some(true);
        // The transaction's revision is what the key was created at.
        Ok(created
            .then(|| number(&answer["header"]["revision"]))
            .flatten())
    }

    pub fn exists(&self, key: &str) -> io::Result<bool> {
        let answer = self.ask("/v3/kv/range", &json!({ "key": base64(key.as_bytes()) }))?;
        Ok(answer["kvs"]
            .as_array()
            .is_some_and(|found| !found.is_empty()))
    }
}
