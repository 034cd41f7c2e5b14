//! The storeys of the crate: a module uses modules of its own storey and of those below, without import cycles.
//!
//! The test reads the source files.  It takes the paths that begin with `crate::`, with `super::`, or with a child
//! module.  Unit tests at the end of a file may use anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// From the lowest to the highest.  A module belongs to the first entry that is its name or a parent of it.
const STOREYS: &[&str] = &[
    // Machines: they know no `Core`.
    "core::wire",
    "core::keys",
    "core::interface",
    "core::srtp",
    "core::receive",
    "core::bandwidth",
    "core::send",
    "core::transport",
    // The tables and timers.
    "core::engine",
    // The ways of datagrams, commands and deadlines through the core.
    "core::paths",
    // The interface of the core for the shells around it.
    "core",
    "guard",
    "fair_mutex",
    "shell",
    "self_test",
    "python",
];

type Sources = BTreeMap<String, String>;

/// The crate's modules with their source, without those of tests.
fn sources(folder: &Path, name: &str, found: &mut Sources) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = entry.file_stem().unwrap().to_str().unwrap();
        let module = if name.is_empty() { stem.to_owned() } else { format!("{name}::{stem}") };
        match stem {
            "tests" | "lib" => {}
            _ if entry.is_dir() => sources(&entry, &module, found),
            "mod" => _ = found.insert(name.to_owned(), std::fs::read_to_string(entry).unwrap()),
            _ => _ = found.insert(module, std::fs::read_to_string(entry).unwrap()),
        }
    }
}

/// The source without comments, without the tests at its end, and without visibilities, which import nothing.
fn code(source: &str) -> String {
    let product = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let product = product.replace("pub(in crate::core)", "pub");
    product.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every path in the code, with the groups in braces written out.
fn paths(code: &str) -> Vec<String> {
    let is_path = |byte: char| byte.is_alphanumeric() || "_:".contains(byte);
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(|byte: char| byte.is_alphabetic() || byte == '_') {
        rest = &rest[at..];
        let end = rest.find(|byte| !is_path(byte)).unwrap_or(rest.len());
        let (path, behind) = rest.split_at(end);
        rest = behind;
        match behind.strip_prefix('{').filter(|_| path.ends_with("::")).and_then(|group| group.split_once("};")) {
            Some((group, _)) => found.extend(group.split([',', '{', '}']).map(|one| format!("{path}{}", one.trim()))),
            None => found.push(path.to_owned()),
        }
    }
    found
}

/// The module that a path in `module` leads to, if it is one of the crate.
fn target<'a>(module: &str, path: &str, sources: &'a Sources) -> Option<&'a str> {
    let parent = |module: &str| module.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
    let absolute = match path.split_once("::")? {
        ("crate", rest) => rest.to_owned(),
        ("super", rest) => match rest.strip_prefix("super::") {
            Some(rest) => format!("{}::{rest}", parent(&parent(module))),
            None => format!("{}::{rest}", parent(module)),
        },
        _ => format!("{module}::{path}"),
    };
    let mut name = absolute.as_str();
    loop {
        match sources.get_key_value(name) {
            Some((found, _)) if found != module => return Some(found),
            Some(_) => return None,
            None => name = name.rsplit_once("::")?.0,
        }
    }
}

fn storey(module: &str) -> usize {
    let holds =
        |storey: &&str| module == *storey || module.strip_prefix(storey).is_some_and(|rest| rest.starts_with("::"));
    STOREYS.iter().position(holds).unwrap_or_else(|| panic!("{module} is on no storey: add it to STOREYS"))
}

/// Everything that breaks the rule, in words.
fn violations(sources: &Sources) -> Vec<String> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, source) in sources {
        let targets = paths(&code(source)).into_iter().filter_map(|path| target(module, &path, sources));
        uses.insert(module, targets.collect());
    }
    let mut broken = Vec::new();
    for (module, targets) in &uses {
        let upward = targets.iter().filter(|target| storey(target) > storey(module));
        broken.extend(upward.map(|target| format!("{module} uses {target}, which is above it")));
    }
    let mut done = BTreeSet::new();
    for module in uses.keys() {
        cycles(module, &uses, &mut Vec::new(), &mut done, &mut broken);
    }
    broken
}

/// Walk every use of this module, depth first, and note each import cycle.
fn cycles<'a>(
    module: &'a str,
    uses: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    broken: &mut Vec<String>,
) {
    if let Some(place) = way.iter().position(|passed| *passed == module) {
        broken.push(format!("an import cycle: {} -> {module}", way[place..].join(" -> ")));
    } else if !done.contains(module) {
        way.push(module);
        uses[module].iter().for_each(|target| cycles(target, uses, way, done, broken));
        way.pop();
        done.insert(module);
    }
}

#[test]
fn every_module_uses_only_its_own_storey_and_those_below() {
    let mut found = Sources::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    // The targets of the fuzzer stand beside the house: they try parsers of every storey.
    found.retain(|module, _| !module.starts_with("core::fuzzing"));
    assert!(found.len() > 40, "{:?}", found.keys());
    assert_eq!(violations(&found), Vec::<String>::new());
}

fn made_up(modules: &[(&str, &str)]) -> Sources {
    modules.iter().map(|(module, source)| ((*module).to_owned(), (*source).to_owned())).collect()
}

#[test]
fn an_import_from_a_lower_storey_to_a_higher_one_is_found_however_it_is_written() {
    for source in [
        "use crate::core::engine::Core;",
        "use crate::core::{engine::{Core, Traffic}, keys};",
        "use super::super::engine;",
        "fn f() { crate::core::engine::f() }",
    ] {
        let sources = made_up(&[("core::send::batch", source), ("core::engine", ""), ("core::keys", "")]);
        assert_eq!(violations(&sources), ["core::send::batch uses core::engine, which is above it"], "{source}");
    }
    let root = made_up(&[("core::send::batch", "use crate::core::Core;"), ("core", "pub use send::batch::Batch;")]);
    assert_eq!(violations(&root).len(), 2, "the root of the core is above, and uses the machine: {root:?}");
}

#[test]
fn an_import_cycle_within_a_storey_is_found() {
    let sources = made_up(&[
        ("core::send::batch", "use super::consumer::Consumer;"),
        ("core::send::consumer", "use crate::core::send::transmit::Transmit;"),
        ("core::send::transmit", "use super::batch::SendBatch;"),
    ]);
    let cycle = "core::send::batch -> core::send::consumer -> core::send::transmit -> core::send::batch";
    assert_eq!(violations(&sources), [format!("an import cycle: {cycle}")]);
}

#[test]
fn an_import_downward_a_comment_and_a_unit_test_break_nothing() {
    let source = "use crate::core::wire::rtp::Header;\n// crate::core::paths\n#[cfg(test)]\nmod tests { use crate::core::Core; }";
    let sources = made_up(&[("core::send::batch", source), ("core::wire::rtp", ""), ("core::paths", ""), ("core", "")]);
    assert_eq!(violations(&sources), Vec::<String>::new());
}
