//! Messages on connections: a length, and then as postcard has them.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

pub fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(io::Error::other)
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(io::Error::other)
}

pub fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = encode(message)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(body);
    Ok(frame)
}

pub async fn send<T: Serialize>(
    stream: &mut (impl AsyncWriteExt + Unpin),
    message: &T,
) -> io::Result<()> {
    stream.write_all(&frame(message)?).await
}

pub async fn receive<T: DeserializeOwned>(
    stream: &mut (impl AsyncReadExt + Unpin),
) -> io::Result<T> {
    let length = stream.read_u32().await?;
    let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut body).await?;
    decode(&body)
}

pub async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Converses on each connection in a task of its own, until none can be accepted.
pub async fn serve<C>(listener: TcpListener, converse: impl Fn(TcpStream) -> C) -> io::Result<()>
where
    C: Future<Output = ()> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(stream));
    }
}

/// Asks on the connection, or on a new one; it is kept if the answer came in time.
pub async fn ask<A: DeserializeOwned>(
    kept: &mut Option<TcpStream>,
    new: impl Future<Output = io::Result<TcpStream>>,
    question: &impl Serialize,
    patience: Duration,
) -> io::Result<A> {
    let exchange = async {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => new.await?,
        };
        send(&mut stream, question).await?;
        let answer = receive(&mut stream).await?;
        Ok::<_, io::Error>((stream, answer))
    };
    let (stream, answer) = timeout(patience, exchange)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    *kept = Some(stream);
    Ok(answer)
}
