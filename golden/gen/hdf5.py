"""Makes golden/hdf5: small files of every layout of HDF5 that the reader of weights knows, and some it refuses.

    python golden/gen/hdf5.py            (needs h5py and numpy; made with h5py 3.16)

Value k of a data set of whole numbers is k % 101 - 50, of other numbers the eighth of that: exact in every
type. The tests know this rule and read the files whole.
"""
import pathlib

import h5py
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "hdf5"
NEW = ("v110", "v110")  # the newest that is not newer than what the reader knows


def values(shape, dtype):
    counted = np.arange(np.prod(shape, dtype=int)) % 101 - 50
    dtype = np.dtype(dtype)
    return (counted if dtype.kind in "iu" else counted / 8).astype(dtype).reshape(shape)


def make(name, libver="earliest", **options):
    return h5py.File(FOLDER / f"{name}.h5", "w", libver=libver, track_order=False, **options)


def types(file):
    """Every type of number, in both byte orders."""
    for dtype in ("<f4", ">f4", "<f8", ">f8", "<f2", "<i4", ">i2", "<i8", "|i1"):
        file.create_dataset(f"{dtype[1:]}-{'big' if dtype[0] == '>' else 'little'}", data=values((3, 4), dtype))
    file.create_dataset("scalar", data=values((), "<f4"))
    file.create_dataset("empty", data=values((0, 3), "<f4"))
    file.create_dataset("flags", data=np.array([True, False, True]))


def attributes(file):
    file.attrs["text"] = "Ünïcode"
    file.attrs["bytes"] = b"fixed"
    file.attrs["names"] = ["lstm", "dense", ""]
    file.attrs["fixed_names"] = np.array([b"lstm", b"dense_1"])
    file.attrs["whole"] = 7
    file.attrs["real"] = 0.125
    file.attrs["list"] = np.array([1.5, -2.0])
    file.attrs["none"] = np.zeros(0)
    file.attrs["record"] = np.zeros(1, [("a", "f4"), ("b", "i4")])
    file.create_group("below").attrs["text"] = "further down"


def chunks(file):
    sets = {"plain": {}, "deflate": {"compression": "gzip"}, "shuffle": {"shuffle": True, "compression": "gzip"},
            "checked": {"fletcher32": True}, "all": {"shuffle": True, "compression": "gzip", "fletcher32": True}}
    for name, options in sets.items():
        file.create_dataset(name, data=values((7, 5), "<f4"), chunks=(3, 2), **options)
    file.create_dataset("cube", data=values((4, 3, 5), "<f8"), chunks=(2, 2, 2), compression="gzip")
    file.create_dataset("many", data=values((400,), "<i2"), chunks=(2,))


def newest_chunks(file):
    file.create_dataset("single", data=values((7, 5), "<f4"), chunks=(7, 5))
    file.create_dataset("single_deflate", data=values((7, 5), "<f4"), chunks=(7, 5), compression="gzip")
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((3, 2))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((7, 5))
    made = h5py.h5d.create(file.id, b"in_a_row", h5py.h5t.IEEE_F32LE, space, early)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, values((7, 5), "<f4"))


def compact(file):
    within = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    within.set_layout(h5py.h5d.COMPACT)
    made = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2, 3)), within)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, values((2, 3), "<f4"))


def many(file, groups):
    for k in range(groups):
        file.create_group(f"layer_{k}").create_dataset("w", data=values((2,), "<f4"))


def main():
    FOLDER.mkdir(exist_ok=True)
    for libver, tag in (("earliest", "old"), (NEW, "new")):
        with make(f"types-{tag}", libver) as file:
            types(file)
            compact(file)
        with make(f"attributes-{tag}", libver) as file:
            attributes(file)
        with make(f"many-{tag}", libver) as file:
            many(file, 40)
    with make("attributes-large", NEW) as file:
        # Too long for a header, and for a block of a heap.
        file.attrs["long"] = np.bytes_(b"[" + b"lstm," * 14000 + b"]")
    with make("chunks-old") as file:
        chunks(file)
    with make("chunks-new", NEW) as file:
        newest_chunks(file)
    with make("behind-a-block", userblock_size=512) as file:
        file.create_dataset("w", data=values((2, 2), "<f4"))
    with make("refused-soft-link") as file:
        file["here"] = h5py.SoftLink("/there")
    with make("refused-external-link") as file:
        file["here"] = h5py.ExternalLink("other.h5", "/there")
    with make("refused-two-ways") as file:
        file["a"] = file.create_group("b")
    with make("refused-loop") as file:
        below = file.create_group("below")
        below["above"] = file["/"]
    with make("refused-lzf") as file:
        file.create_dataset("w", data=values((7, 5), "<f4"), chunks=(3, 2), compression="lzf")
    with make("refused-fixed-array", NEW) as file:
        file.create_dataset("w", data=values((7, 5), "<f4"), chunks=(3, 2))
    with make("refused-unwritten") as file:
        file.create_dataset("w", shape=(7, 5), dtype="<f4")
    with make("refused-other-file") as file:
        file.create_dataset("w", shape=(4,), dtype="<f4", external=[("secret.bin", 0, 16)])
    with make("bomb") as file:
        file.create_dataset("w", data=np.zeros((1 << 26,), "u1"), chunks=(1 << 26,), compression="gzip")
    print(len(list(FOLDER.glob("*.h5"))), "files")


if __name__ == "__main__":
    main()
