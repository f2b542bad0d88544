//! Every function over vectors is inlined into its kernel: one that is not is compiled without the processor's vectors,
//! and gives the right results several times slower.

use std::fs;
use std::path::{Path, PathBuf};

const BOUNDS: [&str; 2] = [": Vector", ": Lanes"];
/// Has functions that are not marked, for a test.
const THIS: &str = "simd/inlining.rs";
const ATTRIBUTE: &str = "#[inline(always)]";

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with(THIS) {
            files.push(path);
        }
    }
}

fn is_generic(signature: &str) -> bool {
    BOUNDS.iter().any(|bound| signature.contains(bound))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The functions of a file, as rustfmt lays it out, that are generic over vectors and not marked; and how many are.
fn unmarked(source: &str) -> (Vec<String>, usize) {
    let lines: Vec<&str> = source.lines().collect();
    let (mut names, mut marked) = (Vec::new(), 0);
    let mut block: Option<usize> = None; // the indentation of an `impl` over vectors
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        if block.is_some_and(|block| indent(line) == block && text.starts_with('}')) {
            block = None;
        }
        let until_body = || lines[at..].iter().take_while(|line| !line.ends_with(['{', ';'])).count();
        let signature = || lines[at..=at + until_body()].join(" ");
        if text.starts_with("impl") && is_generic(&signature()) {
            block = Some(indent(line));
        }
        let code = text.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let Some(rest) = code.strip_prefix("fn ") else { continue };
        let (signature, inside) = (signature(), block.is_some_and(|block| indent(line) > block));
        if signature.ends_with(';') || !(inside || is_generic(&signature)) {
            continue;
        }
        let mut above = lines[..at].iter().rev().map(|line| line.trim_start());
        if above.by_ref().take_while(|line| line.starts_with(['#', '/'])).any(|line| line == ATTRIBUTE) {
            marked += 1;
        } else {
            names.push(rest.split(['(', '<']).next().unwrap_or(rest).to_owned());
        }
    }
    (names, marked)
}

#[test]
fn functions_over_vectors_are_inlined() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut all = 0;
    for file in files {
        let (names, marked) = unmarked(&fs::read_to_string(&file).expect("a source"));
        assert!(names.is_empty(), "{}: without {ATTRIBUTE}: {}", file.display(), names.join(", "));
        all += marked;
    }
    assert!(all > 60, "only {all} functions over vectors were found");
}

#[test]
fn one_that_is_not_is_found() {
    let source = "
impl<V: Vector> RowLoader<V> for Columns {
    fn row(&self) -> V {
        self.0
    }
}

trait Work {
    fn run<V: Vector>(self);
}

#[inline(always)]
fn good<V: Vector>(x: V) -> V {
    x
}

pub(crate) fn bad<
    L: Lanes,
>(
    x: L,
) -> L {
    x
}

fn plain(x: f32) -> f32 {
    x
}
";
    assert_eq!(unmarked(source), (vec!["row".to_owned(), "bad".to_owned()], 1));
}
