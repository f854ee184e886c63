//! A real history, bent in one place each time: what both judges have to reject.

use std::collections::BTreeMap;

use crate::history::{NEVER, Op, What};
use crate::types::{Key, Nanos, Seen, Value};
use crate::{wgl, witness};

/// A second of a run without faults.
fn real() -> Vec<Op> {
    let history = include_str!("../tests/history.json");
    serde_json::from_str(history).expect("a history")
}

fn accepted(history: &[Op]) -> (bool, bool) {
    (
        witness::judge(history).is_empty(),
        wgl::judge(history) == (0, 0),
    )
}

/// Each key's versions, and which operation wrote them.
fn versions(history: &[Op]) -> BTreeMap<Key, BTreeMap<Nanos, (Value, usize)>> {
    let mut versions: BTreeMap<Key, BTreeMap<Nanos, (Value, usize)>> = BTreeMap::new();
    for (index, op) in history.iter().enumerate() {
        if let What::Commit { at, writes, .. } = &op.what {
            for (key, value) in writes {
                let versions = versions.entry(*key).or_default();
                versions.insert(*at, (*value, index));
            }
        }
    }
    versions
}

/// What was there before a version.
fn before(history: &[Op], seen: Seen) -> Option<Seen> {
    let versions = versions(history);
    let (version, (value, _)) = versions.get(&seen.key)?.range(..seen.version).next_back()?;
    Some(Seen {
        value: *value,
        version: *version,
        ..seen
    })
}

fn writer(history: &[Op], seen: Seen) -> Option<usize> {
    let versions = versions(history);
    let (_, writer) = versions.get(&seen.key)?.get(&seen.version)?;
    Some(*writer)
}

fn seen(op: &mut Op) -> &mut Vec<Seen> {
    match &mut op.what {
        What::Commit { read: seen, .. } | What::Read { seen, .. } => seen,
        What::Open { .. } => unreachable!("the history has none"),
    }
}

/// The first place where a kind of mutation can be made, and the history with it.
fn mutate(bend: impl Fn(&mut Vec<Op>, usize) -> Option<()>) -> Vec<Op> {
    let history = real();
    // Not among the first, where there is nothing before.
    for index in 20..history.len() {
        let mut mutant = history.clone();
        if history[index].is_strong() && bend(&mut mutant, index).is_some() {
            assert_ne!(mutant, history);
            return mutant;
        }
    }
    panic!("there is no place for it");
}

fn rejected(bend: impl Fn(&mut Vec<Op>, usize) -> Option<()>) {
    assert_eq!(accepted(&mutate(bend)), (false, false));
}

fn is_read(op: &Op) -> bool {
    matches!(op.what, What::Read { cut: false, .. })
}

fn is_commit(op: &Op) -> bool {
    matches!(op.what, What::Commit { .. })
}

/// Takes the first thing that an operation saw, whose writer satisfies something, back by one version.
fn take_back(history: &mut [Op], index: usize, of: impl Fn(&Op, &Op) -> bool) -> Option<()> {
    let place = seen(&mut history[index].clone()).iter().position(|one| {
        let writer = writer(history, *one).filter(|writer| *writer != index);
        writer.is_some_and(|writer| of(&history[index], &history[writer]))
            && before(history, *one).is_some()
    })?;
    let one = seen(&mut history[index])[place];
    let old = before(history, one)?;
    seen(&mut history[index])[place] = old;
    Some(())
}

#[test]
fn the_history_itself_is_accepted() {
    let history = real();
    assert!(history.len() > 200 && wgl::windows(&history).len() > 1);
    assert_eq!(accepted(&history), (true, true));
}

#[test]
fn a_stale_read() {
    rejected(|history, index| {
        is_read(&history[index]).then_some(())?;
        take_back(history, index, |op, writer| writer.ret < op.call)
    });
}

#[test]
fn a_transaction_that_read_something_stale() {
    rejected(|history, index| {
        is_commit(&history[index]).then_some(())?;
        take_back(history, index, |op, writer| writer.ret < op.call)
    });
}

#[test]
fn a_lost_update() {
    rejected(|history, index| {
        let What::Commit { read, writes, .. } = history[index].what.clone() else {
            return None;
        };
        let (key, _) = writes.first()?;
        let place = read.iter().position(|seen| seen.key == *key)?;
        let other = writer(history, read[place])?;
        // The other one read and wrote the key too, and now both of them read it before either.
        let What::Commit { read: earlier, .. } = &history[other].what else {
            return None;
        };
        let old = *earlier.iter().find(|seen| seen.key == *key)?;
        seen(&mut history[index])[place] = old;
        Some(())
    });
}

#[test]
fn half_of_a_transaction() {
    rejected(|history, index| {
        is_read(&history[index]).then_some(())?;
        let all = seen(&mut history[index]).clone();
        let twice = all.iter().position(|one| {
            let same = |other: &&Seen| other.version == one.version && one.version > 0;
            all.iter().filter(same).count() > 1
        })?;
        seen(&mut history[index])[twice] = before(history, all[twice])?;
        Some(())
    });
}

#[test]
fn a_read_of_the_future() {
    rejected(|history, index| {
        is_read(&history[index]).then_some(())?;
        let (ret, one) = (
            history[index].ret,
            seen(&mut history[index]).first().copied()?,
        );
        let versions = versions(history);
        let later = versions.get(&one.key)?.range(one.version + 1..);
        let (version, (value, _)) = later
            .map(|(at, written)| (*at, *written))
            .find(|(_, (_, writer))| history[*writer].call > ret)?;
        seen(&mut history[index])[0] = Seen {
            value,
            version,
            ..one
        };
        Some(())
    });
}

#[test]
fn a_value_that_was_never_written() {
    rejected(|history, index| {
        is_read(&history[index]).then_some(())?;
        seen(&mut history[index]).first_mut()?.value = Value::MAX;
        Some(())
    });
}

#[test]
fn the_values_of_two_keys_exchanged() {
    rejected(|history, index| {
        is_read(&history[index]).then_some(())?;
        let [one, other, ..] = seen(&mut history[index])[..] else {
            return None;
        };
        (one.value != other.value).then_some(())?;
        let all = seen(&mut history[index]);
        (all[0].value, all[1].value) = (other.value, one.value);
        Some(())
    });
}

/// The first commit after `index` that some later operation saw.
fn seen_commit(history: &[Op], index: usize) -> Option<(usize, Seen)> {
    let mut op = history[index].clone();
    is_read(&op).then_some(())?;
    let one = *seen(&mut op).first()?;
    Some((writer(history, one)?, one))
}

#[test]
fn a_write_that_was_lost() {
    rejected(|history, index| {
        let (writer, one) = seen_commit(history, index)?;
        if let What::Commit { writes, .. } = &mut history[writer].what {
            writes.retain(|(key, _)| *key != one.key);
        }
        Some(())
    });
}

#[test]
fn a_transaction_that_was_aborted_and_seen() {
    rejected(|history, index| {
        let (writer, _) = seen_commit(history, index)?;
        history.remove(writer);
        Some(())
    });
}

#[test]
fn the_writes_of_a_transaction_exchanged() {
    rejected(|history, index| {
        let (writer, _) = seen_commit(history, index)?;
        let What::Commit { writes, .. } = &mut history[writer].what else {
            return None;
        };
        let [(_, one), (_, other), ..] = &mut writes[..] else {
            return None;
        };
        std::mem::swap(one, other);
        Some(())
    });
}

#[test]
fn a_read_that_comes_after_what_it_did_not_see() {
    rejected(|history, index| {
        is_read(&history[index]).then_some(())?;
        let one = *seen(&mut history[index]).first()?;
        let versions = versions(history);
        let (_, (_, next)) = versions.get(&one.key)?.range(one.version + 1..).next()?;
        let later = history[*next].ret;
        history[index].call = later + 1;
        history[index].ret = later + 2;
        Some(())
    });
}

#[test]
fn a_transaction_that_comes_before_what_it_saw() {
    rejected(|history, index| {
        is_commit(&history[index]).then_some(())?;
        let one = *seen(&mut history[index]).first()?;
        let writer = writer(history, one).filter(|writer| *writer != index)?;
        let earlier = history[writer].call.checked_sub(2)?;
        history[index].call = earlier;
        history[index].ret = earlier + 1;
        Some(())
    });
}

#[test]
fn a_transaction_that_took_place_twice() {
    rejected(|history, index| {
        let mut again = history[index].clone();
        is_commit(&again).then_some(())?;
        (!seen(&mut again).is_empty()).then_some(())?;
        let end = history.iter().map(|op| op.ret).max()?;
        again.call = end + 1;
        again.ret = end + 2;
        history.push(again);
        Some(())
    });
}

#[test]
fn a_last_state_without_the_last_transaction() {
    rejected(|history, index| {
        history[index].is_cut().then_some(())?;
        take_back(history, index, |op, writer| writer.ret < op.call)
    });
}

#[test]
fn a_transaction_without_an_answer_may_have_happened_or_not() {
    let history = real();
    let open = |index: usize| {
        let mut history = history.clone();
        let What::Commit { id, writes, .. } = history[index].what.clone() else {
            return None;
        };
        history[index].ret = NEVER;
        history[index].what = What::Open { id, writes };
        Some(history)
    };
    let mut tried = 0;
    for mutant in (20..history.len()).filter_map(open).take(20) {
        assert_eq!(accepted(&mutant), (true, true));
        tried += 1;
    }
    assert_eq!(tried, 20);
}
