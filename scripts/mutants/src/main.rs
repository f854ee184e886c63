//! Writes all mutants of a crate into one copy of it, each behind a switch, so that they are built once.
//!
//! ```sh
//! cargo mutants --list --json >list.json
//! epsilon-clock-mutants list.json COPY [DROPPED]
//! ```
//!
//! `COPY` is a folder with the crate's sources, whose files are written anew. `DROPPED` has the numbers of
//! mutants, one a line, that are left out because they did not compile. Which mutants there are, cargo-mutants
//! alone decides; a mutant's number is its place in its list. In the copy `crate::__m(7)` is true where mutant
//! 7 is on: see `SWITCH`.
//!
//! What a mutant was written into is put between `/*<7*/` and `/*7>*/`, so that errors of the compiler can be
//! charged to it; `g7` is the expression that mutant 7 and others share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

#[derive(Deserialize)]
struct Mutant {
    file: String,
    genre: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize, Clone, Copy)]
struct Span {
    start: Place,
    end: Place,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn of(at: proc_macro2::LineColumn) -> Self {
        Self {
            line: at.line,
            column: at.column + 1,
        }
    }
}

/// At the beginning of the crate's root.
const FEATURES: &str = "#![feature(core_intrinsics, const_eval_select)]\n\
    #![allow(warnings, clippy::all, internal_features, arithmetic_overflow, unconditional_panic)]\n";

/// At its end. `EC_MUTANT` names the mutant that is on. With `EC_COVER` no mutant is, and the number of each
/// whose place is reached is appended to that file.
const SWITCH: &str = r#"
#[doc(hidden)]
#[allow(missing_docs)]
pub const fn __m(n: u32) -> bool {
    const fn never(_: u32) -> bool {
        false
    }
    core::intrinsics::const_eval_select((n,), never, __at_run_time)
}
static __ON: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(u32::MAX);
static __REACHED: [std::sync::atomic::AtomicBool; 16384] =
    [const { std::sync::atomic::AtomicBool::new(false) }; 16384];
const __COVER: u32 = u32::MAX - 1;
fn __at_run_time(n: u32) -> bool {
    use std::sync::atomic::Ordering::Relaxed;
    let mut on = __ON.load(Relaxed);
    if on == u32::MAX {
        on = match std::env::var("EC_MUTANT") {
            Ok(number) => number.parse().unwrap(),
            Err(_) if std::env::var_os("EC_COVER").is_some() => __COVER,
            Err(_) => __COVER - 1,
        };
        __ON.store(on, Relaxed);
    }
    if on == __COVER && !__REACHED[n as usize].swap(true, Relaxed) {
        use std::io::Write;
        let path = std::env::var_os("EC_COVER").unwrap();
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{n}\n").as_bytes()).unwrap();
    }
    on == n
}
"#;

/// What is put in, or replaces something, at a byte of the text.
struct Edit {
    at: usize,
    /// Behind what ends here and before what begins here, the outer ones outside.
    order: (u8, i64),
    until: usize,
    text: String,
}

struct Writer<'a> {
    lines: Vec<usize>,
    text: &'a str,
    /// Numbers and replacements by genre and place.
    at: HashMap<(&'a str, Place), Vec<(usize, &'a Mutant)>>,
    dropped: &'a HashSet<String>,
    edits: Vec<Edit>,
    sequence: i64,
    written: usize,
}

impl<'a> Writer<'a> {
    fn byte(&self, place: Place) -> usize {
        let line = self.lines[place.line - 1];
        let mut chars = self.text[line..].char_indices();
        chars
            .nth(place.column - 1)
            .map_or(self.text.len(), |(at, _)| line + at)
    }

    fn range(&self, span: proc_macro2::Span) -> (usize, usize) {
        (
            self.byte(Place::of(span.start())),
            self.byte(Place::of(span.end())),
        )
    }

    fn wrap(&mut self, (start, end): (usize, usize), before: String, after: String) {
        self.sequence += 1;
        let order = self.sequence;
        self.edits.push(Edit {
            at: start,
            order: (1, order),
            until: start,
            text: before,
        });
        self.edits.push(Edit {
            at: end,
            order: (0, -order),
            until: end,
            text: after,
        });
    }

    fn replace(&mut self, (start, end): (usize, usize), text: &str) {
        self.sequence += 1;
        let order = (2, self.sequence);
        self.edits.push(Edit {
            at: start,
            order,
            until: end,
            text: text.into(),
        });
    }

    fn here(&mut self, genre: &str, place: Place) -> Vec<(usize, &'a Mutant)> {
        let found = self
            .at
            .iter()
            .find(|((g, p), _)| *g == genre && *p == place);
        let found: Vec<_> = found
            .map(|(_, found)| found.clone())
            .unwrap_or_default()
            .into_iter()
            .filter(|(number, _)| !self.dropped.contains(&number.to_string()))
            .collect();
        match found.first() {
            Some((first, _)) if self.dropped.contains(&format!("g{first}")) => Vec::new(),
            _ => {
                self.written += found.len();
                found
            }
        }
    }
}

/// `if one {…} else if another {…} else {usual}`.
fn switch(
    mutants: &[(usize, &Mutant)],
    changed: impl Fn(&Mutant) -> String,
    usual: &str,
) -> String {
    let mut text = String::new();
    for (number, mutant) in mutants {
        let changed = changed(mutant);
        text += &format!("if crate::__m({number}) {{ /*<{number}*/{changed}/*{number}>*/ }} else ");
    }
    format!("{text}{{ {usual} }}")
}

fn around(mutants: &[(usize, &Mutant)]) -> (String, String) {
    let first = mutants[0].0;
    (format!("/*<g{first}*/"), format!("/*g{first}>*/"))
}

impl<'ast> Visit<'ast> for Writer<'_> {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        if let Some(first) = block.stmts.first() {
            let place = Place::of(first.span().start());
            for (number, mutant) in self.here("FnValue", place) {
                let replacement = &mutant.replacement;
                // The type behind an `impl Iterator` is one and the same on all ways out.
                if replacement.starts_with("::std::iter::") {
                    self.written -= 1;
                    continue;
                }
                let text = format!(
                    "/*<{number}*/if crate::__m({number}) {{ return {replacement}; }}/*{number}>*/ "
                );
                let at = self.byte(place);
                self.wrap((at, at), text, String::new());
            }
        }
        visit::visit_block(self, block);
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        // A chain with `let` is no expression that could stand elsewhere.
        let binds = [&expr.left, &expr.right].map(|side| matches!(**side, syn::Expr::Let(_)));
        if binds.contains(&true) {
            return visit::visit_expr_binary(self, expr);
        }
        let mutants = self.here("BinaryOperator", Place::of(expr.op.span().start()));
        if !mutants.is_empty() {
            let op = self.range(expr.op.span());
            let usual = self.text[op.0..op.1].to_owned();
            let (open, close) = around(&mutants);
            let whole = self.range(expr.span());
            if usual == "&&" || usual == "||" {
                // `a && b` is `if a { b } else { a }`, and `a || b` the other way round.
                let (number, goes_on) = (mutants[0].0, if usual == "&&" { "!=" } else { "==" });
                self.wrap(
                    whole,
                    format!("{open}(match "),
                    format!(" }} else {{ __l }} }}){close}"),
                );
                let chosen = format!("{{ __l => if __l {goes_on} crate::__m({number}) {{ ");
                self.replace(op, &chosen);
            } else if usual.ends_with('=') && !matches!(&*usual, "==" | "!=" | "<=" | ">=") {
                let left = self.range(expr.left.span());
                let place = self.text[left.0..left.1].to_owned();
                let chosen = switch(
                    &mutants,
                    |mutant| format!("{place} {} __r;", mutant.replacement),
                    &format!("{place} {usual} __r;"),
                );
                self.replace((left.0, op.1), &format!("{open}{{ let __r = "));
                let end = self.range(expr.right.span()).1;
                self.wrap((end, end), String::new(), format!("; {chosen} }}{close}"));
                self.visit_expr(&expr.right);
                return;
            } else {
                let compares = matches!(&*usual, "==" | "!=" | "<" | ">" | "<=" | ">=");
                let (by, of) = if compares { ("&", "*") } else { ("", "") };
                let chosen = switch(
                    &mutants,
                    |mutant| format!("{of}__l {} {of}__r", mutant.replacement),
                    &format!("{of}__l {usual} {of}__r"),
                );
                let before = format!("{open}(match ({by}(");
                self.wrap(
                    whole,
                    before,
                    format!(")) {{ (__l, __r) => {chosen} }}){close}"),
                );
                self.replace(op, &format!("), {by}("));
            }
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        let mutants = self.here("UnaryOperator", Place::of(expr.op.span().start()));
        if !mutants.is_empty() {
            let op = self.range(expr.op.span());
            let usual = self.text[op.0..op.1].to_owned();
            let (open, close) = around(&mutants);
            let chosen = switch(&mutants, |_| "__v".into(), &format!("{usual}__v"));
            let whole = self.range(expr.span());
            self.wrap(
                whole,
                format!("{open}(match "),
                format!(" {{ __v => {chosen} }}){close}"),
            );
            self.replace(op, "");
        }
        visit::visit_expr_unary(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let deleted = self.here("MatchArm", Place::of(arm.span().start()));
        if let Some((_, guard)) = &arm.guard {
            let guards = self.here("MatchArmGuard", Place::of(guard.span().start()));
            let whole = self.range(guard.span());
            let (mut before, mut after) = (String::from("("), String::from(")"));
            for (number, mutant) in &guards {
                let joint = if mutant.replacement == "true" {
                    "||"
                } else {
                    "&& !"
                };
                let open = if mutant.replacement == "true" {
                    format!("/*<g{number}*/(crate::__m({number}) {joint} (")
                } else {
                    format!("/*<g{number}*/(!crate::__m({number}) && (")
                };
                before = format!("{open}{before}");
                after = format!("{after}))/*g{number}>*/");
            }
            for (number, _) in &deleted {
                before = format!("/*<g{number}*/(!crate::__m({number}) && {before}");
                after = format!("{after})/*g{number}>*/");
            }
            self.wrap(whole, before, after);
        } else {
            let end = self.range(arm.pat.span()).1;
            for (number, _) in &deleted {
                let text = format!(" /*<g{number}*/if !crate::__m({number}) /*g{number}>*/");
                self.wrap((end, end), String::new(), text);
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expr: &'ast syn::ExprStruct) {
        if let Some(rest) = &expr.rest {
            let base = self.range(rest.span());
            let base = self.text[base.0..base.1].to_owned();
            for field in &expr.fields {
                let mutants = self.here("StructField", Place::of(field.span().start()));
                if mutants.is_empty() {
                    continue;
                }
                let syn::Member::Named(name) = &field.member else {
                    continue;
                };
                let (open, close) = around(&mutants);
                let label = if field.colon_token.is_none() {
                    format!("{name}: ")
                } else {
                    String::new()
                };
                let number = mutants[0].0;
                let before =
                    format!("{label}{open}(if crate::__m({number}) {{ ({base}).{name} }} else {{ ");
                let value = self.range(field.expr.span());
                self.wrap(value, before, format!(" }}){close}"));
            }
        }
        visit::visit_expr_struct(self, expr);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("list.json COPY [DROPPED]");
    let list = std::fs::read_to_string(next()).expect("the list can be read");
    let copy = next();
    let dropped = arguments
        .next()
        .and_then(|path| std::fs::read_to_string(path).ok());
    let dropped: HashSet<String> = dropped
        .unwrap_or_default()
        .lines()
        .map(Into::into)
        .collect();
    let mutants: Vec<Mutant> = serde_json::from_str(&list).expect("a list by cargo-mutants");
    let mut files: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        files
            .entry(&mutant.file)
            .or_default()
            .push((number, mutant));
    }
    let mut written = 0;
    for (file, mutants) in files {
        let path = Path::new(&copy).join(file);
        let text = std::fs::read_to_string(&path).expect("the copy has the file");
        let parsed = syn::parse_file(&text).expect("it compiles");
        let mut at: HashMap<_, Vec<_>> = HashMap::new();
        for (number, mutant) in mutants {
            let _ = mutant.span.end;
            let key = (mutant.genre.as_str(), mutant.span.start);
            at.entry(key).or_default().push((number, mutant));
        }
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let mut writer = Writer {
            lines: lines.collect(),
            text: &text,
            at,
            dropped: &dropped,
            edits: Vec::new(),
            sequence: 0,
            written: 0,
        };
        writer.visit_file(&parsed);
        written += writer.written;
        let mut edits = writer.edits;
        edits.sort_by_key(|edit| (edit.at, edit.order));
        let (mut out, mut done) = (String::new(), 0);
        for edit in edits {
            if edit.at > done {
                out += &text[done..edit.at];
            }
            out += &edit.text;
            done = done.max(edit.until);
        }
        out += &text[done..];
        std::fs::write(&path, out).expect("the copy can be written");
    }
    let root = Path::new(&copy).join("src/lib.rs");
    let text = std::fs::read_to_string(&root).expect("the copy has a root");
    std::fs::write(&root, format!("{FEATURES}{text}{SWITCH}")).expect("the copy can be written");
    println!("{written} of {} mutants written", mutants.len());
}
