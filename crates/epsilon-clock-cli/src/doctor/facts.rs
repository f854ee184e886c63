use std::fs;
use std::path::{Path, PathBuf};

/// What files tell of the machine; nothing of it is needed, and any of it may be missing.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Time daemons that run, by their processes' names.
    pub daemons: Vec<String>,
    /// Whose kernel, and so whose clock, this is.
    pub place: Place,
    /// The counter that the kernel reads.
    pub clocksource: Option<String>,
    /// The vendor of a virtual machine.
    pub guest: Option<String>,
    /// Precise clocks that chrony can use as a reference.
    pub hardware_clocks: Vec<String>,
}

/// Where this process runs, as far as that decides who can discipline its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// A machine, real or virtual, with its own processes in sight.
    #[default]
    Machine,
    /// A container: the clock is its host's, and the host's processes are out of sight.
    Container,
    /// A virtual machine with a kernel of its own that was started from a container's image.
    MicroVm,
}

/// Processes that discipline clocks, as the kernel shortens their names, and who they are.
const DAEMONS: [&str; 8] = [
    "chronyd",
    "ntpd",
    "ntp-daemon",
    "systemd-timesyn",
    "openntpd",
    "ptp4l",
    "phc2sys",
    "clockbound",
];

impl Facts {
    /// Reads the files below `root`, which is `/` outside of tests.
    #[must_use]
    pub fn gather(root: &Path) -> Self {
        let line = |path: PathBuf| line(&root.join(path));
        let mut daemons: Vec<String> = entries(&root.join("proc"))
            .iter()
            .filter_map(|process| line(process.join("comm")))
            .filter(|name| DAEMONS.contains(&name.as_str()))
            .collect();
        daemons.sort();
        daemons.dedup();
        let mut hardware_clocks: Vec<String> = entries(&root.join("sys/class/ptp"))
            .iter()
            .filter_map(|clock| {
                let name = line(clock.join("clock_name"))?;
                Some(format!("/dev/{} ({name})", clock.file_name()?.to_str()?))
            })
            .collect();
        hardware_clocks.sort();
        let source = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        let is_virtual =
            || line("proc/cpuinfo".into()).is_some_and(|cpu| cpu.contains(" hypervisor"));
        Self {
            daemons,
            place: Place::below(root),
            clocksource: line(source.into()),
            guest: line("sys/class/dmi/id/sys_vendor".into()).filter(|_| is_virtual()),
            hardware_clocks,
        }
    }
}

impl Place {
    fn below(root: &Path) -> Self {
        let image = [".dockerenv", "run/.containerenv"]
            .iter()
            .any(|file| fs::metadata(root.join(file)).is_ok())
            || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        // The kernel starts its own threads from process 2, `kthreadd`. A container never has it:
        // its processes are numbered anew. Where it is in sight, so is whatever disciplines the clock.
        let kernel = line(&root.join("proc/2/comm")).is_some_and(|name| name == "kthreadd");
        match (image, kernel) {
            (false, _) => Self::Machine,
            (true, false) => Self::Container,
            (true, true) => Self::MicroVm,
        }
    }
}

/// What stands in a file, if anything does.
fn line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
