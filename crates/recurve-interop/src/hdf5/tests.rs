//! Files that h5py wrote, by `golden/gen/hdf5.py`.

use super::write::{Group, Node};
use super::{File, Object, Value};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::limits::Limits;

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/../../golden/hdf5/{name}.h5", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a golden file")
}

/// Opens a file and reads all of its data: `path type shape`, and the values.
fn all(bytes: &[u8]) -> Result<Vec<(String, Vec<f64>)>> {
    fn walk(
        file: &File<'_>,
        object: &Object,
        path: &str,
        to: &mut Vec<(String, Vec<f64>)>,
    ) -> Result<()> {
        if let Some(set) = object.dataset() {
            let raw = file.read(set, path)?;
            let values = set.kind.dtype().map_or_else(Vec::new, |dtype| dtype.reals(&raw));
            to.push((format!("{path} {} {:?}", set.kind.name(), set.shape), values));
        }
        for (name, child) in object.children() {
            walk(file, child, &format!("{path}/{name}"), to)?;
        }
        Ok(())
    }
    let file = File::open(bytes, &Limits::default())?;
    let mut to = vec![];
    walk(&file, file.root(), "", &mut to)?;
    Ok(to)
}

/// The rule of the script that made the files.
fn follows_the_rule(values: &[f64], scale: f64) -> bool {
    let rule = |k: usize| ((k % 101) as f64 - 50.0) / scale;
    values.iter().enumerate().all(|(k, value)| *value == rule(k))
}

#[test]
fn every_type_is_read_in_both_byte_orders() {
    for tag in ["old", "new"] {
        let sets = all(&bytes(&format!("types-{tag}"))).unwrap();
        let names: Vec<&str> = sets.iter().map(|(name, _)| name.as_str()).collect();
        let mut expected = vec![
            "/compact float32 [2, 3]",
            "/empty float32 [0, 3]",
            "/f2-little float16 [3, 4]",
            "/f4-big float32 [3, 4]",
            "/f4-little float32 [3, 4]",
            "/f8-big float64 [3, 4]",
            "/f8-little float64 [3, 4]",
            "/flags int8 [3]",
            "/i1-little int8 [3, 4]",
            "/i2-big int16 [3, 4]",
            "/i4-little int32 [3, 4]",
            "/i8-little int64 [3, 4]",
            "/scalar float32 []",
        ];
        let mut found = names.clone();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{tag}");
        for (name, values) in &sets {
            match name.as_str() {
                "/flags int8 [3]" => assert_eq!(values[..], [1.0, 0.0, 1.0]),
                "/empty float32 [0, 3]" => assert!(values.is_empty()),
                name => {
                    assert!(
                        !values.is_empty()
                            && follows_the_rule(
                                values,
                                if name.contains("int") { 1.0 } else { 8.0 }
                            ),
                        "{tag} {name}: {values:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn attributes_are_read_in_headers_and_heaps() {
    for tag in ["old", "new"] {
        let bytes = bytes(&format!("attributes-{tag}"));
        let file = File::open(&bytes, &Limits::default()).unwrap();
        let texts =
            |names: &[&str]| Value::Texts(names.iter().map(|name| (*name).into()).collect());
        let of = |name: &str| {
            file.root().attribute(name).unwrap_or_else(|| panic!("{tag}: {name}")).clone()
        };
        assert_eq!(of("text"), texts(&["Ünïcode"]));
        assert_eq!(of("bytes"), texts(&["fixed"]));
        assert_eq!(of("names"), texts(&["lstm", "dense", ""]));
        assert_eq!(of("fixed_names"), texts(&["lstm", "dense_1"]));
        assert_eq!(of("whole"), Value::Numbers(vec![7.0]));
        assert_eq!(of("real"), Value::Numbers(vec![0.125]));
        assert_eq!(of("list"), Value::Numbers(vec![1.5, -2.0]));
        assert_eq!(of("none"), Value::Numbers(vec![]));
        assert_eq!(of("record"), Value::Other("records of several values".into()));
        let below = file.root().at("/below").unwrap();
        assert!(below.is_group() && file.root().at("below/x").is_none());
        assert_eq!(below.attribute("text"), Some(&texts(&["further down"])));
    }
    let large = bytes("attributes-large");
    let file = File::open(&large, &Limits::default()).unwrap();
    let Some(Value::Texts(texts)) = file.root().attribute("long") else { panic!("no text") };
    assert_eq!(texts[0], format!("[{}]", "lstm,".repeat(14000)));
}

#[test]
fn groups_of_many_are_read_whole() {
    for tag in ["old", "new"] {
        let sets = all(&bytes(&format!("many-{tag}"))).unwrap();
        assert_eq!(sets.len(), 40, "{tag}");
        assert!(sets.iter().all(|(_, values)| follows_the_rule(values, 8.0)));
    }
    let behind = all(&bytes("behind-a-block")).unwrap();
    assert_eq!(behind.len(), 1);
    assert!(follows_the_rule(&behind[0].1, 8.0));
}

#[test]
fn chunks_are_put_together() {
    for tag in ["old", "new"] {
        let sets = all(&bytes(&format!("chunks-{tag}"))).unwrap();
        assert_eq!(sets.len(), if tag == "old" { 7 } else { 3 });
        for (name, values) in sets {
            let scale = if name.starts_with("/many") { 1.0 } else { 8.0 };
            assert!(
                !values.is_empty() && follows_the_rule(&values, scale),
                "{tag} {name}: {values:?}"
            );
        }
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let expected = [
        ("refused-soft-link", "`here` is a soft link"),
        ("refused-external-link", "`here` leads to another file"),
        ("refused-two-ways", "reached a second time"),
        ("refused-loop", "reached a second time"),
        ("refused-lzf", "compressed with `lzf`"),
        ("refused-fixed-array", "chunks listed in a fixed array"),
        ("refused-unwritten", "was never written"),
        ("refused-other-file", "data in other files"),
        ("bomb", "67108864 bytes"),
    ];
    for (name, text) in expected {
        let error = all(&bytes(name)).expect_err(name).to_string();
        assert!(error.contains(text), "{name}: {error}");
        assert!(error.contains("byte "), "{name}: {error}");
    }
}

#[test]
fn a_truncated_or_altered_file_never_panics() {
    for name in
        ["types-old", "types-new", "attributes-old", "attributes-new", "chunks-new", "many-new"]
    {
        let whole = bytes(name);
        for end in 0..whole.len() {
            // What lies at the end of a file may be unused.
            assert!(all(&whole[..end]).is_err(), "{name} of {end} bytes");
        }
        let mut altered = whole.clone();
        for at in 0..whole.len() {
            for flip in [0xff, 0x01, 0x80] {
                altered[at] = whole[at] ^ flip;
                if let Err(error) = all(&altered) {
                    assert!(error.to_string().contains("byte "), "{name} byte {at}: {error}");
                }
            }
            altered[at] = whole[at];
        }
    }
}

#[test]
fn what_is_written_is_read_again() {
    let rule = |count: usize| (0..count).map(|k| ((k % 101) as f32 - 50.0) / 8.0);
    let numbers = |shape: &[usize]| Node::Numbers {
        dtype: Dtype::F32,
        shape: shape.to_vec(),
        bytes: rule(shape.iter().product()).flat_map(f32::to_le_bytes).collect(),
    };
    let mut root = Group::default();
    let vars = root.at("layers/lstm/cell/vars");
    vars.texts.push(("name".into(), "lstm_çell".into()));
    vars.texts.push(("empty".into(), String::new()));
    vars.children.push(("0".into(), numbers(&[3, 8])));
    vars.children.push(("1".into(), numbers(&[])));
    vars.children.push(("2".into(), numbers(&[0, 2])));
    let doubles = rule(5).flat_map(|value| f64::from(value).to_le_bytes()).collect();
    let doubles = Node::Numbers { dtype: Dtype::F64, shape: vec![5], bytes: doubles };
    root.at("").children.push(("wide".into(), doubles));
    let bytes = root.file().unwrap();
    let sets = all(&bytes).unwrap();
    let names: Vec<&str> = sets.iter().map(|(name, _)| name.as_str()).collect();
    let path = "/layers/lstm/cell/vars/";
    assert_eq!(names[0], format!("{path}0 float32 [3, 8]"));
    assert_eq!(names[1], format!("{path}1 float32 []"));
    assert_eq!(names[2], format!("{path}2 float32 [0, 2]"));
    assert_eq!(names[3], "/wide float64 [5]");
    assert!(sets.iter().all(|(_, values)| follows_the_rule(values, 8.0)));
    let file = File::open(&bytes, &Limits::default()).unwrap();
    let vars = file.root().at("layers/lstm/cell/vars").unwrap();
    assert_eq!(vars.attribute("name"), Some(&Value::Texts(vec!["lstm_çell".into()])));
    let long = Group { texts: vec![("x".into(), "a".repeat(70_000))], children: vec![] };
    assert!(long.file().unwrap_err().to_string().contains("too long"));
}
