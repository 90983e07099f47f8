//! Checkpoints under damage, full disks, forbidden folders and sudden death.

use recurve_train::atomic::remove_leftovers;
use recurve_train::checkpoint::{Checkpoint, Tensor};
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

fn small() -> Checkpoint {
    let mut c = Checkpoint::new();
    c.insert(
        "rnn.r",
        Tensor::reals(vec![2, 3], &[0.5f32, -0.0, 1e-45, f32::MAX, -3.25, 7.0]).unwrap(),
    )
    .unwrap();
    c.insert("rnn.b", Tensor::reals(vec![2], &[f64::MIN_POSITIVE, -0.1]).unwrap()).unwrap();
    c.insert("steps", Tensor::u64(vec![1], vec![u64::MAX]).unwrap()).unwrap();
    c.insert("bytes", Tensor::u8(vec![3], vec![0, 127, 255]).unwrap()).unwrap();
    c.insert("none", Tensor::reals::<f32>(vec![0, 4], &[]).unwrap()).unwrap();
    c.insert_text("kind", "lstm \"λ\"\n").unwrap();
    c.insert_text("a", "").unwrap();
    c
}

fn of_number(number: u64, elements: usize) -> Checkpoint {
    let mut c = Checkpoint::new();
    let w: Vec<f32> = (0..elements).map(|i| number as f32 + i as f32).collect();
    c.insert("w", Tensor::reals(vec![elements], &w).unwrap()).unwrap();
    c.insert("steps", Tensor::u64(vec![1], vec![number]).unwrap()).unwrap();
    c
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_saved_is_loaded_and_the_bytes_depend_on_the_content_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    let saved = small();
    saved.save(&path).unwrap();
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded, saved);
    assert_eq!(loaded.reals::<f32>("rnn.r", &[2, 3]).unwrap()[2].to_bits(), 1);
    assert_eq!(loaded.reals::<f32>("rnn.r", &[2, 3]).unwrap()[1].to_bits(), 1 << 31);
    assert_eq!(loaded.reals::<f64>("rnn.b", &[2]).unwrap(), [f64::MIN_POSITIVE, -0.1]);
    assert_eq!(loaded.u64s("steps", &[1]).unwrap(), [u64::MAX]);
    assert_eq!(loaded.text("kind").unwrap(), "lstm \"λ\"\n");
    assert_eq!(fs::read(&path).unwrap(), small().to_bytes().unwrap());
    assert_eq!(loaded.to_bytes().unwrap(), small().to_bytes().unwrap());
    assert_eq!(
        Checkpoint::from_bytes(&Checkpoint::new().to_bytes().unwrap()).unwrap(),
        Checkpoint::new()
    );
    assert_eq!(names(folder.path()), ["last.ckpt"]);
}

#[test]
fn it_is_a_safetensors_file() {
    let bytes = small().to_bytes().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 5);
    let r = file.tensor("rnn.r").unwrap();
    assert_eq!((r.dtype(), r.shape()), (Dtype::F32, &[2, 3][..]));
    assert_eq!(r.data()[..4], 0.5f32.to_le_bytes());
    assert_eq!(r.data().as_ptr() as usize % 4, bytes.as_ptr() as usize % 4);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let texts = header.metadata().as_ref().unwrap();
    assert_eq!((texts["kind"].as_str(), texts["sha256"].len()), ("lstm \"λ\"\n", 64));
}

#[test]
fn every_truncation_and_every_extension_is_an_error() {
    let bytes = small().to_bytes().unwrap();
    for len in 0..bytes.len() {
        let error = Checkpoint::from_bytes(&bytes[..len]).unwrap_err();
        assert!(error.is_usage(), "{error}");
    }
    for extra in [0u8, b' ', 255] {
        let mut longer = bytes.clone();
        longer.push(extra);
        Checkpoint::from_bytes(&longer).unwrap_err();
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_changes_nothing() {
    let original = small();
    let mut bytes = original.to_bytes().unwrap();
    let mut errors = 0;
    for bit in 0..8 * bytes.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match Checkpoint::from_bytes(&bytes) {
            Err(error) => {
                assert!(error.is_usage());
                errors += 1;
            }
            Ok(read) => assert_eq!(read, original, "bit {bit}"),
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(errors > 7 * bytes.len(), "{errors}");
}

#[test]
fn headers_that_lie_do_not_allocate() {
    let lies = [
        r#"{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
        r#"{"w":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,0]}}"#,
        r#"{"w":{"dtype":"U8","shape":[2],"data_offsets":[5,3]}}"#,
        r#"{"__metadata__":{"sha256":"00"},"w":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}"#,
        "[[[[",
        "{}",
    ];
    for lie in lies {
        for len in [lie.len() as u64, u64::MAX, u64::MAX - 7, 1 << 40] {
            let mut bytes = len.to_le_bytes().to_vec();
            bytes.extend(lie.bytes());
            Checkpoint::from_bytes(&bytes).unwrap_err();
        }
    }
    let nested = "[".repeat(1 << 20);
    let mut bytes = (nested.len() as u64).to_le_bytes().to_vec();
    bytes.extend(nested.bytes());
    Checkpoint::from_bytes(&bytes).unwrap_err();
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.ckpt");
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("m.ckpt"), "{error}");
    let mut bytes = small().to_bytes().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = Checkpoint::load(&path).unwrap_err().to_string();
    assert!(error.contains("m.ckpt") && error.contains("checksum does not match"), "{error}");
    assert!(error.contains("train again"), "{error}");
    let error = Checkpoint::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");

    let c = small();
    for (error, words) in [
        (c.text("task").unwrap_err(), ["`task`", "another kind"]),
        (c.tensor("rnn.w").unwrap_err(), ["`rnn.w`", "another kind"]),
        (c.reals::<f32>("rnn.r", &[3, 2]).unwrap_err(), ["F32 [2, 3]", "F32 [3, 2]"]),
        (c.reals::<f64>("rnn.r", &[2, 3]).unwrap_err(), ["F32 [2, 3]", "F64 [2, 3]"]),
        (c.u64s("bytes", &[3]).unwrap_err(), ["U8 [3]", "U64 [3]"]),
    ] {
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    }
}

#[test]
fn names_are_given_once_and_shapes_must_fit() {
    let mut c = small();
    assert!(c.insert("steps", Tensor::u64(vec![1], vec![1]).unwrap()).is_err());
    assert!(c.insert("__metadata__", Tensor::u64(vec![1], vec![1]).unwrap()).is_err());
    assert!(c.insert_text("kind", "gru").is_err());
    assert!(c.insert_text("sha256", "0").is_err());
    assert_eq!(c, small());
    assert!(Tensor::u64(vec![2], vec![1]).is_err());
    assert!(Tensor::u64(vec![usize::MAX, 2], vec![]).is_err());
    assert!(Tensor::u64(vec![], vec![1]).is_ok());
}

#[test]
fn a_number_that_is_not_finite_never_reaches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    of_number(1, 4).save(&path).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut c = small();
        c.insert("dw", Tensor::reals(vec![3], &[0.0, 0.0, bad]).unwrap()).unwrap();
        c.insert("dw32", Tensor::reals(vec![3], &[0.0, bad as f32, 0.0]).unwrap()).unwrap();
        let error = c.save(&path).unwrap_err();
        assert!(error.is_failed(), "{error}");
        assert!(error.to_string().contains("element 2 of `dw`"), "{error}");
        assert!(error.to_string().contains("last.ckpt"), "{error}");
        assert!(c.to_bytes().is_err());
    }
    assert_eq!(Checkpoint::load(&path).unwrap(), of_number(1, 4));
    assert_eq!(names(folder.path()), ["last.ckpt"]);
}

#[test]
fn only_files_are_replaced_and_only_in_folders_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("runs");
    fs::create_dir(&inside).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for (path, words) in [
        (inside.clone(), "a folder is there"),
        (PathBuf::from("/dev/null"), "not a regular file"),
        (folder.path().join("absent/last.ckpt"), "create the folder"),
        (file.join("last.ckpt"), "create the folder"),
        (folder.path().join(".."), "file name"),
        (forbidden_folder(folder.path()).join("last.ckpt"), "can be written"),
    ] {
        let error = small().save(&path).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(&path.display().to_string()), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"x");
    assert_eq!(names(&inside), [""; 0]);
}

/// A folder nobody may write in: one without the right to, or, for a user whom rights do not bind,
/// one of the kernel's.
fn forbidden_folder(parent: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let folder = parent.join("forbidden");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let probe = folder.join("probe");
    if fs::write(&probe, "").is_err() {
        return folder;
    }
    fs::remove_file(probe).unwrap();
    PathBuf::from("/sys/kernel")
}

#[test]
fn a_new_file_has_the_usual_rights() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (usual, ours) = (folder.path().join("usual"), folder.path().join("ours"));
    fs::write(&usual, "").unwrap();
    small().save(&ours).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&usual));
}

const CHILD_PATH: &str = "RECURVE_TEST_CHECKPOINT";

/// A process that saves ever new checkpoints to the path in the environment, run by the tests below.
/// Without that path it saves three and reads the last.
#[test]
#[ignore = "is run by other tests as a process of its own"]
fn child_that_saves() {
    let folder = tempfile::tempdir().unwrap();
    let (path, last) = match env::var_os(CHILD_PATH) {
        Some(path) => (PathBuf::from(path), u64::MAX),
        None => (folder.path().join("last.ckpt"), 3),
    };
    for number in 1..=last {
        if let Err(error) = of_number(number, 50_000).save(&path) {
            println!("child: {error}");
            return;
        }
    }
    assert_eq!(Checkpoint::load(&path).unwrap(), of_number(3, 50_000));
}

fn child(before: &str, path: &Path) -> Child {
    Command::new("sh")
        .arg("-c")
        .arg(format!(
            "{before} exec \"$0\" --ignored --exact checkpoint::child_that_saves --nocapture"
        ))
        .arg(env::current_exe().unwrap())
        .env(CHILD_PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn where_the_disk_takes_no_more_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    of_number(7, 100).save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    // A bound on file size that is below what the child writes, with the signal it sends ignored, is
    // an error of `write`, as on a full disk.
    let output = child("trap '' XFSZ; ulimit -f 64;", &path).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("child: cannot write the checkpoint") && said.contains("last.ckpt"),
        "{said}"
    );
    assert!(said.contains("make room") && said.contains("unchanged"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names(folder.path()), ["last.ckpt"]);
}

#[test]
fn whenever_the_process_is_killed_the_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    of_number(0, 50_000).save(&path).unwrap();
    let number = || {
        let read = Checkpoint::load(&path).unwrap();
        let number = read.u64s("steps", &[1]).unwrap()[0];
        assert_eq!(read, of_number(number, 50_000));
        number
    };
    for round in 0..20 {
        let before = number();
        let mut child = child("", &path);
        let started = Instant::now();
        while number() == before {
            assert!(started.elapsed() < Duration::from_secs(60), "the child saves nothing");
        }
        std::thread::sleep(Duration::from_micros(1700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        number();
    }
    fs::write(folder.path().join(".last.ckpt.abc.tmp"), "half").unwrap();
    fs::write(folder.path().join(".other.ckpt.abc.tmp"), "not ours").unwrap();
    remove_leftovers(&path).unwrap();
    assert_eq!(names(folder.path()), [".other.ckpt.abc.tmp", "last.ckpt"]);
}
