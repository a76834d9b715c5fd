use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use maestro_schemas::digest::Digest;
use proptest::prelude::*;
use tempfile::TempDir;

use super::manifest::decode;
use super::*;

/// A directory with files, and images made of them.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> Source {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        Source::File { path, executable: false }
    }

    fn compose(&self, name: &str, recipe: &Recipe<'_>) -> Result<Built, Error> {
        compose(&self.path(name), recipe)
    }
}

fn scratch(files: impl IntoIterator<Item = (&'static str, Source)>) -> Recipe<'static> {
    Recipe {
        base: Base::Scratch { platform: Platform::linux("amd64") },
        files: files.into_iter().map(|(path, source)| (path.to_owned(), source)).collect(),
        changes: Changes::default(),
        tags: vec!["1.0".into()],
        epoch: None,
    }
}

fn upon<'a>(base: &'a Path, files: &[(&str, Source)]) -> Recipe<'a> {
    Recipe {
        base: Base::Layout { path: base, platform: None },
        files: files.iter().map(|(path, source)| ((*path).to_owned(), source.clone())).collect(),
        changes: Changes::default(),
        tags: Vec::new(),
        epoch: None,
    }
}

fn says(result: Result<impl Sized, Error>, text: &str) {
    let Err(error) = result else { panic!("not refused; expected {text}") };
    assert!(error.to_string().contains(text), "{text}: {error}");
}

#[test]
fn an_image_is_a_layout_in_which_everything_is_true() {
    let bench = Bench::new();
    let link = Source::Link { target: "main.js".into() };
    let files = [("app/dist/main.js", bench.file("main.js", "x")), ("app/dist/run", link)];
    let mut recipe = scratch(files);
    recipe.changes.entrypoint = Some(vec!["/app/dist/run".into()]);
    let built = bench.compose("image", &recipe).expect("an image");
    let layout = Layout::open(&bench.path("image")).expect("a layout");
    let image = layout.verify(None).expect("true");
    assert_eq!(image.descriptor.digest, built.manifest.digest);
    let process = image.config.config.expect("a process");
    assert_eq!(process.entrypoint, Some(vec!["/app/dist/run".to_owned()]));
    let names: Vec<String> = names_of(&layout, &image.manifest.layers[0]);
    assert_eq!(names, ["app/", "app/dist/", "app/dist/main.js", "app/dist/run"]);
    let mut sizes = 0;
    for blob in fs::read_dir(bench.path("image/blobs/sha256")).expect("blobs") {
        let blob = blob.expect("a blob");
        let bytes = fs::read(blob.path()).expect("bytes");
        assert_eq!(blob.file_name().to_string_lossy(), Digest::of(&bytes).to_hex());
        sizes += bytes.len() as u64;
    }
    assert_eq!(sizes, built.size);
}

fn names_of(layout: &Layout, layer: &Descriptor) -> Vec<String> {
    let packed = layout.open_blob(layer).expect("a blob");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let entries = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 0);
        String::from_utf8(entry.path_bytes().into_owned()).expect("a name")
    });
    entries.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_same_inputs_are_the_same_digest_elsewhere_and_on_another_day(
        files in proptest::collection::btree_map("[a-z]{1,3}/[a-z]{1,120}", ".{0,40}", 0..12),
        mode in prop::sample::select(vec![0o600u32, 0o640, 0o644]),
    ) {
        let made = |mode: u32, shift: u64| {
            let bench = Bench::new();
            let mut sources = BTreeMap::new();
            for (index, (path, text)) in files.iter().enumerate() {
                let source = bench.file(&format!("{index}"), text);
                let place = bench.path(&format!("{index}"));
                fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
                let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(shift);
                fs::File::open(&place).unwrap().set_modified(at).unwrap();
                sources.insert(path.clone(), source);
            }
            let recipe = Recipe { files: sources, ..scratch([]) };
            let built = bench.compose("image", &recipe).unwrap();
            Layout::open(&bench.path("image")).unwrap().verify(None).unwrap();
            (built, fs::read(bench.path("image/index.json")).unwrap())
        };
        prop_assert_eq!(made(0o644, 1_000_000), made(mode, 1_700_000_000));
    }
}

#[test]
fn any_other_byte_name_bit_or_setting_is_another_digest() {
    let bench = Bench::new();
    let file = bench.file("a", "x");
    let Source::File { path, .. } = file.clone() else { panic!("a file") };
    let mut recipes = vec![
        scratch([("a", file.clone())]),
        scratch([("b", file.clone())]),
        scratch([("a", bench.file("other", "y"))]),
        scratch([("a", Source::File { path, executable: true })]),
        Recipe { epoch: Some(1), ..scratch([("a", file.clone())]) },
    ];
    let mut with_env = scratch([("a", file)]);
    with_env.changes.env.insert("A".into(), "1".into());
    recipes.push(with_env);
    let digests: std::collections::BTreeSet<Digest> = recipes
        .iter()
        .enumerate()
        .map(|(index, recipe)| {
            bench.compose(&format!("image-{index}"), recipe).expect("an image").manifest.digest
        })
        .collect();
    assert_eq!(digests.len(), recipes.len());
}

#[test]
fn a_base_is_kept_below_and_its_directories_are_left_alone() {
    let bench = Bench::new();
    let mut first = scratch([("usr/bin/tool", bench.file("tool", "t"))]);
    first.files.insert("bin".into(), Source::Link { target: "usr/bin".into() });
    first.changes.cmd = Some(vec!["sh".into()]);
    bench.compose("base", &first).expect("a base");
    let base = bench.path("base");
    let app = bench.file("app", "a");
    let built =
        bench.compose("image", &upon(&base, &[("usr/bin/app", app.clone())])).expect("an image");
    assert_eq!(built.layers, 2);
    let layout = Layout::open(&bench.path("image")).expect("a layout");
    let image = layout.verify(None).expect("true");
    assert_eq!(names_of(&layout, &image.manifest.layers[1]), ["usr/bin/app"]);
    assert_eq!(image.config.config.expect("a process").cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(image.config.history.expect("a history").len(), 2);
    says(bench.compose("x", &upon(&base, &[("bin/app", app.clone())])), "is a link in the base");
    says(bench.compose("y", &upon(&base, &[("usr/bin", app.clone())])), "is a directory in the");
    says(bench.compose("z", &upon(&base, &[("usr/bin/tool/x", app)])), "is a file in the base");
}

/// A layout that says of itself what `change` makes of the truth.
fn tampered(change: impl FnOnce(&Layout, &mut Image)) -> (Bench, PathBuf) {
    let bench = Bench::new();
    bench.compose("base", &scratch([("a", bench.file("a", "x"))])).expect("a base");
    let path = bench.path("base");
    let layout = Layout::open(&path).expect("a layout");
    let mut image = layout.image(None).expect("an image");
    change(&layout, &mut image);
    image.manifest.config =
        layout.put(CONFIG_MEDIA_TYPE, &encode(&image.config).expect("json")).expect("put");
    let manifest = layout.put(MANIFEST_MEDIA_TYPE, &encode(&image.manifest).expect("json"));
    layout.write_index(&Index::of(vec![manifest.expect("put")])).expect("written");
    (bench, path)
}

#[test]
fn a_base_that_is_not_what_it_says_is_refused() {
    let refused = |text: &str, change: fn(&Layout, &mut Image)| {
        let (bench, path) = tampered(change);
        says(bench.compose("image", &upon(&path, &[])), text);
        says(Layout::open(&path).and_then(|layout| layout.verify(None)), text);
    };
    refused("its bytes are", |layout, image| {
        let blob = layout.blob(image.manifest.layers[0].digest);
        let mut bytes = fs::read(&blob).expect("a blob");
        // The time in the header of gzip, which unpacks all the same.
        bytes[4] ^= 1;
        fs::write(&blob, bytes).expect("written");
    });
    refused("bytes, expected", |_, image| image.manifest.layers[0].size += 1);
    refused("its configuration says", |_, image| {
        image.config.rootfs.diff_ids[0] = Digest::of(b"other");
    });
    refused("another number of layers", |_, image| image.config.rootfs.diff_ids.clear());
    refused("cannot read", |layout, image| {
        fs::remove_file(layout.blob(image.manifest.layers[0].digest)).expect("removed");
    });
    refused("is not taken", |_, image| {
        image.manifest.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+zstd".into();
    });
    refused("cannot read", |layout, image| {
        let blob = layout.blob(image.manifest.layers[0].digest);
        fs::rename(&blob, layout.path().join("aside")).expect("renamed");
        std::os::unix::fs::symlink(layout.path().join("aside"), &blob).expect("linked");
    });
    refused("larger than", |_, image| image.manifest.layers[0].size = LAYER_BYTES_MAX + 1);
    refused("larger than 127 layers", |_, image| {
        image.manifest.layers = vec![image.manifest.layers[0].clone(); LAYERS_MAX + 1];
    });
}

#[test]
fn a_base_whose_layer_holds_a_hostile_name_is_refused() {
    let (bench, path) = tampered(|layout, image| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..8].copy_from_slice(b"../../xy");
        header.set_size(0);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append(&header, &b""[..]).expect("appended");
        let bytes = archive.into_inner().expect("an archive");
        let layer = layout.put("application/vnd.oci.image.layer.v1.tar", &bytes).expect("put");
        image.config.rootfs.diff_ids = vec![layer.digest];
        image.manifest.layers = vec![layer];
    });
    says(bench.compose("image", &upon(&path, &[])), "leads upwards");
}

#[test]
fn of_several_images_the_one_for_the_platform_is_taken() {
    let bench = Bench::new();
    bench.compose("base", &scratch([("a", bench.file("a", "amd"))])).expect("a base");
    let layout = Layout::open(&bench.path("base")).expect("a layout");
    let mut image = layout.image(None).expect("an image");
    image.config.platform = Platform::linux("arm64");
    image.manifest.config =
        layout.put(CONFIG_MEDIA_TYPE, &encode(&image.config).expect("json")).expect("put");
    let mut other =
        layout.put(MANIFEST_MEDIA_TYPE, &encode(&image.manifest).expect("json")).expect("put");
    other.platform = Some(Platform::linux("arm64"));
    let mut index = layout.index().expect("an index");
    index.manifests.push(other);
    layout.write_index(&index).expect("written");
    says(layout.image(None), "2 images");
    let arm = layout.verify(Some(&Platform::linux("arm64"))).expect("true");
    assert_eq!(arm.config.platform, Platform::linux("arm64"));
    says(layout.image(Some(&Platform::linux("riscv64"))), "no image for linux/riscv64");
}

#[test]
fn dockers_words_are_taken_and_ocis_are_written() {
    let (bench, path) = tampered(|_, image| {
        image.manifest.layers[0].media_type =
            "application/vnd.docker.image.rootfs.diff.tar.gzip".into();
    });
    let built = bench.compose("image", &upon(&path, &[])).expect("an image");
    let layout = Layout::open(&bench.path("image")).expect("a layout");
    let bytes = layout.read(&built.manifest).expect("bytes");
    let manifest: Manifest = decode("manifest", &bytes).expect("a manifest");
    assert_eq!(manifest.layers[0].media_type, LAYER_MEDIA_TYPE);
}

#[test]
fn what_a_program_tells_of_its_own_directory_is_left_away() {
    let (_bench, path) = tampered(|_, image| {
        let of = |text: &str| BTreeMap::from([("name".to_owned(), text.to_owned())]);
        image.manifest.annotations = Some(of("localhost/build/x/base"));
        let remarked =
            serde_json::json!([{"created_by": "RUN x", "comment": "FROM /build/x/base"}]);
        image.config.history = serde_json::from_value(remarked).expect("a history");
    });
    let before = Layout::open(&path).expect("a layout").image(None).expect("an image").descriptor;
    let left = adopt(&path, &[], Some(Path::new("/elsewhere"))).expect("adopted");
    assert_eq!(left.manifest.digest, before.digest);
    let adopted = adopt(&path, &[], Some(Path::new("/build/x"))).expect("adopted");
    assert_ne!(adopted.manifest.digest, before.digest);
    let image = Layout::open(&path).expect("a layout").verify(None).expect("true");
    let history = image.config.history.as_ref().expect("a history");
    assert_eq!(history[0].created_by.as_deref(), Some("RUN x"));
    let kept = encode(&image.config).expect("json");
    assert!(!String::from_utf8_lossy(&kept).contains("/build/x"));
    assert!(!Layout::open(&path).expect("a layout").blob(before.digest).exists());
}

#[test]
fn paths_that_no_image_may_have_are_refused() {
    assert_eq!(image_path("/app/./main").expect("a path"), "app/main");
    for path in ["", "/", "a/../b", "..", "a/.wh.b", ".wh..wh..opq", "a\0b", &"x".repeat(300)] {
        assert!(image_path(path).is_err(), "{path:?}");
    }
    let bench = Bench::new();
    let file = bench.file("a", "x");
    says(bench.compose("i", &scratch([("a", file.clone()), ("a/b", file)])), "below a file");
    std::os::unix::fs::symlink("/etc/passwd", bench.path("link")).expect("linked");
    let link = Source::File { path: bench.path("link"), executable: false };
    says(bench.compose("j", &scratch([("a", link)])), "cannot read");
}

#[test]
fn a_layer_that_is_named_again_and_again_counts_each_time() {
    let (bench, path) = tampered(|layout, image| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1 << 20);
        header.set_cksum();
        archive.append_data(&mut header, "zeros", &vec![0; 1 << 20][..]).expect("appended");
        let bytes = archive.into_inner().expect("an archive");
        let unpacked = Digest::of(&bytes);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &bytes).expect("packed");
        let layer = layout.put(LAYER_MEDIA_TYPE, &packed.finish().expect("packed")).expect("put");
        assert!(layer.size < 64 << 10, "{}", layer.size);
        image.config.rootfs.diff_ids = vec![unpacked; 20];
        image.manifest.layers = vec![layer; 20];
    });
    let layout = Layout::open(&path).expect("a layout");
    let image = layout.image(None).expect("an image");
    says(layout.verify_layers_within(&image, 8 << 20), "the image is larger than 8388608 bytes");
    layout.verify_layers_within(&image, 32 << 20).expect("it fits");
    drop(bench);
}

#[test]
fn many_files_and_many_that_take_them_away_are_read_in_no_time() {
    const MANY: usize = 60_000;
    let (_bench, path) = tampered(|layout, image| {
        let layer = |name: &str| {
            let mut archive = tar::Builder::new(Vec::new());
            for number in 0..MANY {
                let mut header = tar::Header::new_ustar();
                header.set_size(0);
                let path = format!("{number}/{name}{number}");
                archive.append_data(&mut header, path, &b""[..]).expect("appended");
            }
            let bytes = archive.into_inner().expect("an archive");
            layout.put("application/vnd.oci.image.layer.v1.tar", &bytes).expect("put")
        };
        let layers = vec![layer("file"), layer(".wh.other")];
        image.config.rootfs.diff_ids = layers.iter().map(|layer| layer.digest).collect();
        image.manifest.layers = layers;
    });
    let layout = Layout::open(&path).expect("a layout");
    let image = layout.image(None).expect("an image");
    let begun = std::time::Instant::now();
    let files = contents(&layout, &image, |_| true, 1 << 20).expect("files");
    assert_eq!(files.len(), MANY, "nothing that was there is gone");
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn a_link_in_a_layout_that_a_program_made_is_not_written_through() {
    let remarked = || {
        tampered(|_, image| {
            let history = serde_json::json!([{"created_by": "RUN x", "comment": "FROM /build/x"}]);
            image.config.history = serde_json::from_value(history).expect("a history");
        })
    };
    let adopted = |path: &Path| adopt(path, &[], Some(Path::new("/build/x"))).expect("adopted");
    let (_first, path) = remarked();
    let manifest = adopted(&path).manifest.digest;
    let config = Layout::open(&path).expect("a layout").image(None).expect("an image");
    let (bench, path) = remarked();
    let layout = Layout::open(&path).expect("a layout");
    let aside = bench.path("aside");
    fs::write(&aside, "kept").expect("written");
    for digest in [manifest, config.manifest.config.digest] {
        std::os::unix::fs::symlink(&aside, layout.blob(digest)).expect("linked");
    }
    assert_eq!(adopted(&path).manifest.digest, manifest);
    assert_eq!(fs::read_to_string(&aside).expect("it"), "kept");
}
