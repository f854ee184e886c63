//! The file under redb: what was not synced is forgotten when the process is killed.
//!
//! Writes stay in memory until `sync_data`, and only then reach the file. A killed process so loses what a
//! machine that loses power would lose. By default the disk itself is not waited for, for what is killed here
//! are processes; with `fdatasync` it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

#[derive(Debug)]
pub struct Forgetful {
    file: File,
    fdatasync: bool,
    image: Mutex<Image>,
}

#[derive(Debug, Default)]
struct Image {
    bytes: Vec<u8>,
    /// What was written since the last sync: where, and how much.
    dirty: BTreeMap<u64, usize>,
    resized: bool,
}

impl Forgetful {
    pub fn open(file: File, fdatasync: bool) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Self {
            file,
            fdatasync,
            image: Mutex::new(Image {
                bytes,
                ..Image::default()
            }),
        })
    }

    fn image(&self) -> MutexGuard<'_, Image> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn span(offset: u64, length: usize, of: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    match start.checked_add(length) {
        Some(end) if end <= of => Ok(start..end),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl StorageBackend for Forgetful {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.image();
        let span = span(offset, out.len(), image.bytes.len())?;
        out.copy_from_slice(&image.bytes[span]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut image = self.image();
        let length = usize::try_from(len).map_err(io::Error::other)?;
        image.bytes.resize(length, 0);
        image.dirty.retain(|offset, _| *offset < len);
        image.resized = true;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut image = self.image();
        if std::mem::take(&mut image.resized) {
            self.file.set_len(image.bytes.len() as u64)?;
        }
        for (offset, length) in std::mem::take(&mut image.dirty) {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let end = (start + length).min(image.bytes.len());
            self.file.write_all_at(&image.bytes[start..end], offset)?;
        }
        if self.fdatasync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut image = self.image();
        let span = span(offset, data.len(), image.bytes.len())?;
        image.bytes[span].copy_from_slice(data);
        let length = image.dirty.entry(offset).or_default();
        *length = (*length).max(data.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_synced_is_forgotten() -> io::Result<()> {
        let path = std::env::temp_dir().join(format!("epsilon-spanner-{}", std::process::id()));
        let open = || {
            File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
        };
        let first = Forgetful::open(open()?, false)?;
        first.set_len(8)?;
        first.write(0, b"kept")?;
        first.sync_data()?;
        first.write(4, b"lost")?;
        let mut seen = [0; 8];
        first.read(0, &mut seen)?;
        assert_eq!(&seen, b"keptlost");
        drop(first);
        Forgetful::open(open()?, false)?.read(0, &mut seen)?;
        std::fs::remove_file(&path)?;
        assert_eq!(&seen, b"kept\0\0\0\0");
        Ok(())
    }
}
