//! The kernel of a simulated machine: its clocks, and the NTP state that moves them.
//!
//! Raw and monotonic time are straight lines in true time from one change of a rate to the next,
//! kept to 2⁻³² ns with rates of 62 fractional bits: a second adds less than 2⁻³¹ ns of rounding, a
//! simulated day less than a ten-thousandth of a nanosecond. What is read is rounded down to whole
//! nanoseconds, as the real clocks do; that is all the difference there is between truth and clock.

use crate::random::{Random, mix};
use epsilon_clock::machine::NtpStatus;

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const DAY_SECS: i64 = 86_400;
const BILLION: i128 = 1_000_000_000;

/// Fractional bits of a clock's position in ns.
pub(crate) const FINE: u32 = 32;
/// Fractional bits of a rate.
const RATE: u32 = 62;
const ONE: i128 = 1 << RATE;

/// The kernel's `MAXFREQ` in µs a second: what `maxerror` grows by.
const MAXERROR_GROWTH_US: i64 = 500;
/// `SHIFT_PLL` of the kernel's `timex.h`.
const SHIFT_PLL: u32 = 2;
/// `MAXTC` of the kernel's `timex.h`.
const MAX_CONSTANT: i64 = 10;
/// `MAXPHASE` of the kernel's `timex.h`, in ns.
const MAX_PHASE: i64 = 500_000_000;
/// `MAX_TICKADJ`: how fast `adjtime` slews, in µs a second.
const MAX_TICKADJ_US: i64 = 500;
/// `MAXFREQ_SCALED`: 500 ppm in units of 2⁻¹⁶ ppm.
const MAX_FREQ: i64 = 500 << 16;
/// The flags that a caller cannot set.
const READ_ONLY: i32 = 0x0100 | 0x0200 | 0x0400 | 0x0800 | 0x1000 | 0x2000 | 0x4000 | 0x8000;

/// What a time daemon writes with one `adjtimex` call: fields that are `None` are left alone.
///
/// ```
/// use epsilon_clock_sim::Adjustment;
///
/// let sync = Adjustment { status: Some(0), maxerror: Some(1_000), ..Adjustment::default() };
/// assert!(sync.step.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// `ADJ_STATUS`: the `STA_*` flags.
    pub status: Option<i32>,
    /// `ADJ_MAXERROR`, in µs; clamped to 0 to 16 s as kernels since 6.1 do.
    pub maxerror: Option<i64>,
    /// `ADJ_ESTERROR`, in µs; clamped like `maxerror`.
    pub esterror: Option<i64>,
    /// `ADJ_FREQUENCY`, in 2⁻¹⁶ ppm, within ±500 ppm.
    pub freq: Option<i64>,
    /// `ADJ_TICK`, in µs, from 9 000 to 11 000.
    pub tick: Option<i64>,
    /// `ADJ_OFFSET`, in ns whatever `STA_NANO` says: the phase for the PLL; ignored without `STA_PLL`.
    pub offset: Option<i64>,
    /// `ADJ_TIMECONST`: the PLL's time constant, from 0 to 10, as replies show it.
    pub constant: Option<i64>,
    /// `ADJ_TAI`: TAI − UTC in seconds.
    pub tai: Option<i32>,
    /// `ADJ_NANO` or `ADJ_MICRO`: the unit of `offset` in replies.
    pub nano: Option<bool>,
    /// `ADJ_SETOFFSET`: a step in ns. It clears the NTP state first; the rest is written in the
    /// same instant.
    pub step: Option<i64>,
    /// `adjtime`: a slew of so many µs in all, at 500 ppm.
    pub single_shot: Option<i64>,
}

/// Where the clocks stood at one true instant, and how fast they go since.
#[derive(Clone, Copy, Debug)]
struct Segment {
    since: i64,
    raw: i128,
    mono: i128,
    raw_rate: i128,
    mono_rate: i128,
}

impl Segment {
    fn raw(&self, now: i64) -> i128 {
        self.raw + ((i128::from(now - self.since) * self.raw_rate) >> (RATE - FINE))
    }

    fn mono(&self, now: i64) -> i128 {
        self.mono + ((i128::from(now - self.since) * self.mono_rate) >> (RATE - FINE))
    }
}

/// A simulated kernel's clocks and NTP state.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    segment: Segment,
    /// The oscillator's: raw per true seconds.
    oscillator_rate: i128,
    /// The same as true per raw seconds less one, in ppb.
    oscillator_ppb: i64,
    running: bool,
    real_offset: i64,
    /// How often real time was set, of which the kernel tells who waits for it.
    sets: u64,
    boot_offset: i64,
    tick_ns: i64,
    /// The last whole second of real time that was counted.
    counted_second: i64,
    /// How late the next one is.
    lateness: i64,
    state: i32,
    status: i32,
    nano: bool,
    maxerror: i64,
    esterror: i64,
    freq: i64,
    tick: i64,
    pending_ns: i64,
    constant: i64,
    tai: i32,
    /// What the PLL slews in the current second, in ns.
    chunk_ns: i64,
    /// What `adjtime` has left to slew, and slews in the current second, in µs.
    adjtime_us: i64,
    adjtime_chunk_us: i64,
    /// The second at which a leap takes place.
    next_leap: i64,
    /// When it was last stepped, by a daemon or by another hand.
    pub(crate) stepped_at: i64,
}

impl Kernel {
    /// Creates a kernel that booted `uptime` ns before true instant `now`, when UTC was `real` ns.
    pub(crate) fn new(now: i64, real: i64, uptime: i64, tick_ns: i64, rate_ppb: i64) -> Self {
        let fine = i128::from(uptime) << FINE;
        let mut kernel = Self {
            segment: Segment {
                since: now,
                raw: fine,
                mono: fine,
                raw_rate: ONE,
                mono_rate: ONE,
            },
            oscillator_rate: ONE,
            oscillator_ppb: 0,
            running: true,
            real_offset: real.saturating_sub(uptime),
            sets: 0,
            boot_offset: 0,
            tick_ns,
            counted_second: real.div_euclid(SECOND),
            lateness: tick_ns,
            state: NtpStatus::TIME_OK,
            status: NtpStatus::STA_UNSYNC,
            nano: false,
            maxerror: NtpStatus::MAXERROR_CAP,
            esterror: NtpStatus::MAXERROR_CAP,
            freq: 0,
            tick: NtpStatus::NOMINAL_TICK,
            pending_ns: 0,
            constant: 2,
            tai: 37,
            chunk_ns: 0,
            adjtime_us: 0,
            adjtime_chunk_us: 0,
            next_leap: i64::MAX,
            stepped_at: i64::MIN / 2,
        };
        kernel.set_oscillator(now, rate_ppb);
        kernel
    }

    // --- clocks --------------------------------------------------------------------------------

    pub(crate) fn raw(&self, now: i64) -> i64 {
        whole(self.segment.raw(now))
    }

    /// Returns raw time in 2⁻³² ns.
    pub(crate) fn raw_fine(&self, now: i64) -> i128 {
        self.segment.raw(now)
    }

    pub(crate) fn mono(&self, now: i64) -> i64 {
        whole(self.segment.mono(now))
    }

    pub(crate) const fn sets(&self) -> u64 {
        self.sets
    }

    pub(crate) fn real(&self, now: i64) -> i64 {
        self.mono(now).saturating_add(self.real_offset)
    }

    pub(crate) fn boot(&self, now: i64) -> i64 {
        self.mono(now).saturating_add(self.boot_offset)
    }

    /// Returns real time as of the last tick; one tick in 32 comes late, by up to half a tick.
    pub(crate) fn coarse(&self, now: i64) -> i64 {
        let mono = self.mono(now);
        let into = mono.rem_euclid(self.tick_ns);
        let hash = mix((mono / self.tick_ns).unsigned_abs());
        let late = if hash % 32 == 0 {
            self.tick_ns / 1_024 * i64::try_from(hash >> 55).unwrap_or(0)
        } else {
            0
        };
        let behind = if into < late {
            into + self.tick_ns
        } else {
            into
        };
        (mono - behind).saturating_add(self.real_offset)
    }

    pub(crate) const fn tick_ns(&self) -> i64 {
        self.tick_ns
    }

    /// Returns how the oscillator errs now: true seconds per raw second less one, in ppb.
    pub(crate) const fn oscillator_ppb(&self) -> i64 {
        self.oscillator_ppb
    }

    // --- rates ---------------------------------------------------------------------------------

    pub(crate) fn set_oscillator(&mut self, now: i64, rate_ppb: i64) {
        // True seconds per raw second, that way round, as in assumption A1.
        self.oscillator_ppb = rate_ppb;
        self.oscillator_rate = (ONE * BILLION) / (BILLION + i128::from(rate_ppb)).max(1);
        self.turn(now);
    }

    fn turn(&mut self, now: i64) {
        let raw = self.segment.raw(now);
        let mono = self.segment.mono(now);
        let raw_rate = if self.running {
            self.oscillator_rate
        } else {
            0
        };
        self.segment = Segment {
            since: now,
            raw,
            mono,
            raw_rate,
            mono_rate: (raw_rate * self.correction()) >> RATE,
        };
    }

    fn correction(&self) -> i128 {
        let slewed_ns = self.chunk_ns + self.adjtime_chunk_us * 1_000;
        ONE * i128::from(self.tick) / 10_000
            + (i128::from(self.freq) << RATE) / 65_536_000_000
            + (i128::from(slewed_ns) << RATE) / BILLION
    }

    /// Returns how fast tick and frequency make real time run, in ppb of raw time.
    pub(super) const fn adjusted_ppb(&self) -> i64 {
        (self.tick - NtpStatus::NOMINAL_TICK) * 100_000 + self.freq * 1_000 / 65_536
    }

    /// Returns the PLL's and `adjtime`'s slew in this second, in ppb.
    pub(crate) const fn phase_slew_ppb(&self) -> i64 {
        self.chunk_ns + self.adjtime_chunk_us * 1_000
    }

    // --- what the NTP state does ---------------------------------------------------------------

    /// Returns when the next second of real time will be counted, if clocks go on as they do.
    pub(crate) fn next_count(&self) -> Option<i64> {
        if !self.running || self.segment.mono_rate <= 0 {
            return None;
        }
        let target = (self.counted_second + 1)
            .checked_mul(SECOND)?
            .checked_add(self.lateness)?
            .checked_sub(self.real_offset)?;
        let missing = (i128::from(target) << FINE) - self.segment.mono;
        let dt = (missing.max(0) << (RATE - FINE)) / self.segment.mono_rate;
        i64::try_from(dt)
            .ok()?
            .checked_add(self.segment.since)?
            .checked_add(1)
    }

    /// Counts every second of real time that began since the last one; `Some(jump)` after a leap.
    pub(crate) fn count_seconds(&mut self, now: i64, random: &mut Random) -> i64 {
        let mut jumped = 0;
        // More than a few only after the whole machine had stood still.
        while self.counted_second < self.real(now).div_euclid(SECOND) {
            self.counted_second += 1;
            let leap = self.second_overflow();
            self.counted_second += leap;
            self.real_offset = self.real_offset.saturating_add(leap * SECOND);
            self.sets += u64::from(leap != 0);
            jumped += leap;
        }
        // One to two ticks late, rarely a little more.
        self.lateness = self.tick_ns + random.between(0, self.tick_ns);
        if random.chance(20_000) {
            self.lateness += random.between(0, 2_000_000);
        }
        self.turn(now);
        jumped
    }

    fn second_overflow(&mut self) -> i64 {
        // As the kernel's function of this name: a second of real time is over. Returned is by how
        // many seconds the clock leaps.
        let leap = self.leap_state();
        self.maxerror += MAXERROR_GROWTH_US;
        if self.maxerror > NtpStatus::MAXERROR_CAP {
            self.maxerror = NtpStatus::MAXERROR_CAP;
            self.status |= NtpStatus::STA_UNSYNC;
        }
        let shift = SHIFT_PLL + u32::try_from(self.constant).unwrap_or(0);
        let chunk = self.pending_ns.abs() >> shift;
        self.chunk_ns = if self.pending_ns < 0 { -chunk } else { chunk };
        self.pending_ns -= self.chunk_ns;
        self.adjtime_chunk_us = self.adjtime_us.clamp(-MAX_TICKADJ_US, MAX_TICKADJ_US);
        self.adjtime_us -= self.adjtime_chunk_us;
        leap
    }

    fn leap_state(&mut self) -> i64 {
        let secs = self.counted_second;
        let flagged = |flag| self.status & flag != 0;
        match self.state {
            NtpStatus::TIME_OK if flagged(NtpStatus::STA_INS) => {
                self.state = NtpStatus::TIME_INS;
                self.next_leap = secs + DAY_SECS - secs.rem_euclid(DAY_SECS);
            }
            NtpStatus::TIME_OK if flagged(NtpStatus::STA_DEL) => {
                self.state = NtpStatus::TIME_DEL;
                self.next_leap = secs + DAY_SECS - (secs + 1).rem_euclid(DAY_SECS);
            }
            NtpStatus::TIME_INS if !flagged(NtpStatus::STA_INS) => self.call_off(),
            NtpStatus::TIME_INS if secs == self.next_leap => {
                self.state = NtpStatus::TIME_OOP;
                self.tai += 1;
                return -1;
            }
            NtpStatus::TIME_DEL if !flagged(NtpStatus::STA_DEL) => self.call_off(),
            NtpStatus::TIME_DEL if secs == self.next_leap => {
                self.state = NtpStatus::TIME_WAIT;
                self.next_leap = i64::MAX;
                self.tai -= 1;
                return 1;
            }
            NtpStatus::TIME_OOP => {
                self.state = NtpStatus::TIME_WAIT;
                self.next_leap = i64::MAX;
            }
            NtpStatus::TIME_WAIT if !flagged(NtpStatus::STA_INS | NtpStatus::STA_DEL) => {
                self.state = NtpStatus::TIME_OK;
            }
            _ => {}
        }
        0
    }

    const fn call_off(&mut self) {
        self.state = NtpStatus::TIME_OK;
        self.next_leap = i64::MAX;
    }

    /// Returns what `adjtimex` with no modes answers at `now`.
    pub(crate) fn status(&self, now: i64) -> NtpStatus {
        let mut state = self.state;
        if self.status & NtpStatus::STA_UNSYNC != 0 {
            state = NtpStatus::TIME_ERROR;
        }
        let mut tai = self.tai;
        let secs = self.real(now).div_euclid(SECOND);
        // The clock itself leaps a tick or two late; the reply does not.
        if secs >= self.next_leap {
            match self.state {
                NtpStatus::TIME_INS if self.status & NtpStatus::STA_INS != 0 => {
                    state = NtpStatus::TIME_OOP;
                    tai += 1;
                }
                NtpStatus::TIME_DEL if self.status & NtpStatus::STA_DEL != 0 => {
                    state = NtpStatus::TIME_WAIT;
                    tai -= 1;
                }
                NtpStatus::TIME_OOP if secs == self.next_leap => state = NtpStatus::TIME_WAIT,
                _ => {}
            }
        }
        let mut answer = NtpStatus::default();
        answer.state = state;
        answer.status = self.status | if self.nano { NtpStatus::STA_NANO } else { 0 };
        answer.maxerror = self.maxerror;
        answer.esterror = self.esterror;
        answer.freq = self.freq;
        answer.tick = self.tick;
        answer.offset = if self.nano {
            self.pending_ns
        } else {
            self.pending_ns / 1_000
        };
        answer.constant = self.constant;
        answer.tai = tai;
        answer
    }

    /// Returns the phase that the PLL has yet to slew, this second's part included, in ns.
    pub(crate) const fn pending_phase(&self) -> i64 {
        self.pending_ns
            .saturating_abs()
            .saturating_add(self.chunk_ns.saturating_abs())
    }

    /// Makes one `adjtimex` call by a time daemon: all of it at one instant.
    pub(crate) fn adjust(&mut self, now: i64, adjustment: &Adjustment) {
        if let Some(by) = adjustment.step {
            self.step(now, by);
        }
        if let Some(nano) = adjustment.nano {
            self.nano = nano;
        }
        if let Some(status) = adjustment.status {
            self.set_status(status);
        }
        let error = |us: i64| us.clamp(0, NtpStatus::MAXERROR_CAP);
        self.maxerror = adjustment.maxerror.map_or(self.maxerror, error);
        self.esterror = adjustment.esterror.map_or(self.esterror, error);
        self.freq = adjustment
            .freq
            .map_or(self.freq, |f| f.clamp(-MAX_FREQ, MAX_FREQ));
        self.tick = adjustment
            .tick
            .map_or(self.tick, |t| t.clamp(9_000, 11_000));
        self.tai = adjustment.tai.unwrap_or(self.tai);
        self.constant = adjustment
            .constant
            .map_or(self.constant, |c| c.clamp(0, MAX_CONSTANT));
        if let (Some(offset), true) = (adjustment.offset, self.status & NtpStatus::STA_PLL != 0) {
            self.pending_ns = offset.clamp(-MAX_PHASE, MAX_PHASE);
        }
        self.adjtime_us = adjustment.single_shot.unwrap_or(self.adjtime_us);
        self.turn(now);
    }

    const fn set_status(&mut self, status: i32) {
        if self.status & NtpStatus::STA_PLL != 0 && status & NtpStatus::STA_PLL == 0 {
            self.call_off();
        }
        self.status = status & !READ_ONLY;
    }

    /// Steps real time and clears the NTP state, but for the frequency.
    pub(crate) fn step(&mut self, now: i64, by: i64) {
        self.stepped_at = now;
        self.sets += 1;
        self.real_offset = self.real_offset.saturating_add(by);
        self.counted_second = self.real(now).div_euclid(SECOND);
        self.adjtime_us = 0;
        self.adjtime_chunk_us = 0;
        self.status |= NtpStatus::STA_UNSYNC;
        self.maxerror = NtpStatus::MAXERROR_CAP;
        self.esterror = NtpStatus::MAXERROR_CAP;
        self.pending_ns = 0;
        self.chunk_ns = 0;
        self.next_leap = i64::MAX;
        self.turn(now);
    }

    /// Stops raw and monotonic time from `now` on.
    pub(crate) fn halt(&mut self, now: i64) {
        self.running = false;
        self.turn(now);
    }

    /// Lets them go on; boot and real time catch up by what the kernel believes it slept, in ns.
    pub(crate) fn resume(&mut self, now: i64, slept: i64) {
        self.running = true;
        self.sets += 1;
        self.boot_offset = self.boot_offset.saturating_add(slept);
        self.real_offset = self.real_offset.saturating_add(slept);
        self.counted_second = self.real(now).div_euclid(SECOND);
        self.turn(now);
    }
}

fn whole(fine: i128) -> i64 {
    i64::try_from(fine >> FINE).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000 * SECOND;

    fn kernel(rate_ppb: i64) -> Kernel {
        Kernel::new(0, START, 1_000 * SECOND, 4_000_000, rate_ppb)
    }

    /// Lets true time go by, counting seconds as they come.
    fn run(kernel: &mut Kernel, from: i64, to: i64) {
        let mut random = Random::new(9);
        while let Some(at) = kernel.next_count().filter(|at| *at <= to) {
            assert!(at > from);
            kernel.count_seconds(at, &mut random);
        }
    }

    #[test]
    fn a_slow_oscillator_counts_fewer_raw_seconds() {
        // 100 ppm of true seconds per raw second more: a raw second takes 1.0001 true ones.
        let kernel = kernel(100_000);
        let raw = kernel.raw(10_001 * SECOND + 1) - kernel.raw(0);
        assert_eq!(raw, 10_000 * SECOND);
    }

    #[test]
    fn slews_move_monotonic_and_real_time_alike_and_never_raw_time() {
        let mut kernel = kernel(0);
        kernel.adjust(
            0,
            &Adjustment {
                tick: Some(10_833),
                freq: Some(21_800_000),
                ..Adjustment::default()
            },
        );
        let at = 7 * SECOND;
        assert_eq!(kernel.raw(at), 1_007 * SECOND);
        let mono = kernel.mono(at) - kernel.mono(0);
        // 83 300 ppm of tick and 332.6 ppm of frequency.
        assert!((mono - 7_585_428_000).abs() < 1_000, "{mono}");
        assert_eq!(kernel.real(at) - kernel.mono(at), START - 1_000 * SECOND);
    }

    #[test]
    fn maxerror_grows_once_a_second_a_tick_or_two_late() {
        let mut kernel = kernel(0);
        kernel.adjust(
            0,
            &Adjustment {
                status: Some(0),
                maxerror: Some(77),
                ..Adjustment::default()
            },
        );
        let first = kernel.next_count().unwrap();
        assert!(
            (4_000_000..=8_000_001).contains(&(first - SECOND)),
            "{first}"
        );
        run(&mut kernel, 0, 10 * SECOND + 20_000_000);
        assert_eq!(kernel.status(10 * SECOND).maxerror, 77 + 10 * 500);
        assert_eq!(kernel.status(10 * SECOND).state, NtpStatus::TIME_OK);
    }

    #[test]
    fn maxerror_stops_at_sixteen_seconds_and_sets_the_flag() {
        let mut kernel = kernel(0);
        let nearly = NtpStatus::MAXERROR_CAP - 700;
        kernel.adjust(
            0,
            &Adjustment {
                status: Some(0),
                maxerror: Some(nearly),
                ..Adjustment::default()
            },
        );
        run(&mut kernel, 0, SECOND + 20_000_000);
        assert_eq!(kernel.status(0).state, NtpStatus::TIME_OK);
        run(&mut kernel, 0, 2 * SECOND + 20_000_000);
        let status = kernel.status(0);
        assert_eq!(status.maxerror, NtpStatus::MAXERROR_CAP);
        assert!(status.has(NtpStatus::STA_UNSYNC) && status.state == NtpStatus::TIME_ERROR);
    }

    #[test]
    fn the_pll_slews_a_share_of_its_offset_each_second() {
        let mut kernel = kernel(0);
        kernel.adjust(
            0,
            &Adjustment {
                status: Some(NtpStatus::STA_PLL),
                nano: Some(true),
                offset: Some(64_000_000),
                constant: Some(2),
                ..Adjustment::default()
            },
        );
        run(&mut kernel, 0, SECOND + 20_000_000);
        let offset = |kernel: &Kernel| kernel.status(0).offset;
        assert_eq!(offset(&kernel), 60_000_000);
        run(&mut kernel, 0, 2 * SECOND + 20_000_000);
        assert_eq!(offset(&kernel), 56_250_000);
        let strayed = kernel.mono(2 * SECOND) - 1_002 * SECOND;
        assert!((strayed - 4_000_000).abs() < 100_000, "{strayed}");
    }

    #[test]
    fn a_step_clears_the_state_and_one_call_can_hide_it() {
        let mut kernel = kernel(0);
        kernel.step(0, 5 * SECOND);
        assert_eq!(kernel.status(0).maxerror, NtpStatus::MAXERROR_CAP);
        assert_eq!(kernel.real(0), START + 5 * SECOND);
        kernel.adjust(
            0,
            &Adjustment {
                step: Some(-5 * SECOND),
                status: Some(0),
                maxerror: Some(0),
                ..Adjustment::default()
            },
        );
        let status = kernel.status(0);
        assert!(status.maxerror == 0 && status.state == NtpStatus::TIME_OK);
    }

    #[test]
    fn a_leap_second_is_inserted_a_tick_late_and_then_waits() {
        let midnight = (START / (DAY_SECS * SECOND) + 1) * DAY_SECS * SECOND;
        let mut kernel = Kernel::new(0, midnight - 3 * SECOND, SECOND, 4_000_000, 0);
        kernel.adjust(
            0,
            &Adjustment {
                status: Some(NtpStatus::STA_INS),
                maxerror: Some(5),
                ..Adjustment::default()
            },
        );
        run(&mut kernel, 0, 2 * SECOND + 20_000_000);
        assert_eq!(
            kernel.status(2 * SECOND + 20_000_000).state,
            NtpStatus::TIME_INS
        );
        let late = 3 * SECOND + 1_000_000;
        assert_eq!(kernel.real(late), midnight + 1_000_000);
        assert_eq!(kernel.status(late).state, NtpStatus::TIME_OOP);
        run(&mut kernel, 0, 3 * SECOND + 20_000_000);
        let after = 3 * SECOND + 20_000_000;
        assert_eq!(kernel.real(after), midnight - SECOND + 20_000_000);
        assert_eq!(
            (kernel.status(after).state, kernel.status(after).tai),
            (3, 38)
        );
        run(&mut kernel, 0, 5 * SECOND);
        assert_eq!(kernel.real(5 * SECOND), midnight + SECOND);
        assert_eq!(kernel.status(5 * SECOND).state, NtpStatus::TIME_WAIT);
        assert_eq!(kernel.status(5 * SECOND).maxerror, 5 + 500 * 5 - 500);
    }

    #[test]
    fn sleep_stops_raw_and_monotonic_time_alone() {
        let mut kernel = kernel(0);
        let raw = kernel.raw(SECOND);
        kernel.halt(SECOND);
        assert_eq!(kernel.raw(5 * SECOND), raw);
        assert_eq!(kernel.next_count(), None);
        kernel.resume(5 * SECOND, 4 * SECOND);
        assert_eq!(kernel.mono(5 * SECOND), raw);
        assert_eq!(
            kernel.boot(6 * SECOND),
            kernel.mono(6 * SECOND) + 4 * SECOND
        );
        assert_eq!(kernel.real(6 * SECOND), START + 6 * SECOND);
    }

    #[test]
    fn coarse_time_is_real_time_of_the_last_tick_or_the_one_before() {
        let kernel = kernel(0);
        let mut before = i64::MIN;
        for at in (0..SECOND).step_by(100_003) {
            let lag = kernel.real(at) - kernel.coarse(at);
            assert!((0..6_000_001).contains(&lag), "{lag}");
            assert!(kernel.coarse(at) >= before);
            before = kernel.coarse(at);
        }
    }
}
