//! AMX: eight registers of 16 rows of 64 bytes, and the product of two of them in `bf16`.
//!
//! The compiler knows the tile registers by name only: their intrinsics are not stable, so the
//! instructions stand in `asm!`. A product is one block of assembly, from the loads of its sums to
//! their stores, so no value ever lives in a tile between two blocks, and the tiles that a block
//! writes are its clobbers. What does outlive a block is the *configuration* (how many rows each tile
//! has), which is the thread's own, and which only [`Configured`] changes. Compiled code uses no tiles
//! of its own, so nothing else depends on it.
//!
//! The system hands out the tiles' memory on request, once per process. Linux only.

use crate::half::{Tile, TileRows};
use core::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::OnceLock;

/// Whether tiles and their `bf16` product exist and the system lets this process use them.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| in_processor() && in_system() && permitted())
}

fn in_processor() -> bool {
    // Leaf 7: bit 24 of EDX are tiles, bit 22 their product of `bf16`.
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (1 << 22 | 1 << 24) == 1 << 22 | 1 << 24
}

fn in_system() -> bool {
    const TILES: u64 = 1 << 17 | 1 << 18;
    let saves_state = __cpuid(1).ecx & (1 << 27) != 0;
    // SAFETY: bit 27 says that the instruction exists.
    saves_state && unsafe { extended_state() } & TILES == TILES
}

#[target_feature(enable = "xsave")]
fn extended_state() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for the tiles' memory: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
fn permitted() -> bool {
    let mut answer = 158_i64;
    // SAFETY: the call takes two numbers and touches no memory of this process; a system call changes
    // `rcx` and `r11`.
    unsafe {
        asm!(
            "syscall",
            inout("rax") answer,
            in("rdi") 0x1023_i64,
            in("rsi") 18_i64,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// The tiles' shapes as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Tiles of this thread while it works; given back at the end, so that switching threads stays cheap.
pub(crate) struct Configured {
    rows: TileRows,
}

impl Configured {
    pub(crate) fn new() -> Self {
        Self { rows: TileRows { first: 0, second: 0 } }
    }

    /// Makes the tiles as high as a product asks: its sums and its left operand.
    ///
    /// # Safety
    /// The tiles exist.
    #[inline(always)]
    unsafe fn set(&mut self, rows: TileRows) {
        if self.rows == rows {
            return;
        }
        self.rows = rows;
        // An unused tile keeps one row: none would make it unusable, not smaller.
        let (first, second) = (rows.first as u8, rows.second.max(1) as u8);
        let mut shapes =
            Shapes { palette: 1, start: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].fill(64);
        let heights = if rows.second == 0 {
            [first, first, first, first, first, 16, 16, 16]
        } else {
            [first, first, second, second, first, second, 16, 16]
        };
        shapes.rows[..8].copy_from_slice(&heights);
        // SAFETY: the shapes are 64 bytes of the form that the instruction reads, and within the
        // limits of palette 1; no value is kept in a tile (see the module).
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack)) }
    }

    /// Computes a product of `rows` and of `tiles` column tiles.
    ///
    /// # Safety
    /// AMX exists; the fields of `tile` describe memory that is readable, the sums writable.
    #[inline]
    pub(crate) unsafe fn run(&mut self, rows: TileRows, tiles: usize, tile: &Tile) {
        // SAFETY: the caller's promise, for each part.
        unsafe {
            self.set(rows);
            let mut at = 0;
            let part = |at: usize| tile.columns_from(at);
            if rows.second == 0 {
                while at + 4 <= tiles {
                    one_by_four(&part(at));
                    at += 4;
                }
                while at < tiles {
                    one_by_one(&part(at));
                    at += 1;
                }
            } else {
                while at + 2 <= tiles {
                    two_by_two(rows.first, &part(at));
                    at += 2;
                }
                if at < tiles {
                    two_by_one(rows.first, &part(at));
                }
            }
        }
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        if self.rows.first > 0 {
            // SAFETY: the tiles were configured, so they exist; no value is kept in them.
            unsafe { asm!("tilerelease", options(nostack, nomem)) }
        }
    }
}

/// 32 rows or fewer by 32 columns: four chains of sums hide the time that one product takes.
unsafe fn two_by_two(first: usize, tile: &Tile) {
    // SAFETY: every address is one that the caller vouches for; the loop runs `depth / 32` times, at
    // least once; the tiles that are written are clobbers.
    unsafe {
        asm!(
            "tileloadd tmm0, [{s0} + {ss}]",
            "tileloadd tmm1, [{s0} + {ss} + 64]",
            "tileloadd tmm2, [{s1} + {ss}]",
            "tileloadd tmm3, [{s1} + {ss} + 64]",
            "2:",
            "tileloadd tmm6, [{b0} + {line}]",
            "tileloadd tmm4, [{a0} + {as_}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a1} + {as_}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a0}, 64",
            "add {a1}, 64",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "dec {k}",
            "jnz 2b",
            "tilestored [{c0} + {cs}], tmm0",
            "tilestored [{c0} + {cs} + 64], tmm1",
            "tilestored [{c1} + {cs}], tmm2",
            "tilestored [{c1} + {cs} + 64], tmm3",
            s0 = in(reg) tile.start,
            s1 = in(reg) tile.start.wrapping_add(first * tile.start_row),
            ss = in(reg) 4 * tile.start_row,
            a0 = inout(reg) tile.a => _,
            a1 = inout(reg) tile.a.wrapping_add(first * tile.a_row) => _,
            as_ = in(reg) 2 * tile.a_row,
            b0 = inout(reg) tile.b => _,
            b1 = inout(reg) tile.b.wrapping_add(tile.b_tile) => _,
            line = in(reg) 64_usize,
            k = inout(reg) tile.depth / 32 => _,
            c0 = in(reg) tile.c,
            c1 = in(reg) tile.c.wrapping_add(first * tile.c_row),
            cs = in(reg) 4 * tile.c_row,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// 32 rows or fewer by 16 columns.
unsafe fn two_by_one(first: usize, tile: &Tile) {
    // SAFETY: as in `two_by_two`.
    unsafe {
        asm!(
            "tileloadd tmm0, [{s0} + {ss}]",
            "tileloadd tmm2, [{s1} + {ss}]",
            "2:",
            "tileloadd tmm6, [{b0} + {line}]",
            "tileloadd tmm4, [{a0} + {as_}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a1} + {as_}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "add {a0}, 64",
            "add {a1}, 64",
            "add {b0}, 1024",
            "dec {k}",
            "jnz 2b",
            "tilestored [{c0} + {cs}], tmm0",
            "tilestored [{c1} + {cs}], tmm2",
            s0 = in(reg) tile.start,
            s1 = in(reg) tile.start.wrapping_add(first * tile.start_row),
            ss = in(reg) 4 * tile.start_row,
            a0 = inout(reg) tile.a => _,
            a1 = inout(reg) tile.a.wrapping_add(first * tile.a_row) => _,
            as_ = in(reg) 2 * tile.a_row,
            b0 = inout(reg) tile.b => _,
            line = in(reg) 64_usize,
            k = inout(reg) tile.depth / 32 => _,
            c0 = in(reg) tile.c,
            c1 = in(reg) tile.c.wrapping_add(first * tile.c_row),
            cs = in(reg) 4 * tile.c_row,
            out("tmm0") _, out("tmm2") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            options(nostack),
        );
    }
}

/// 16 rows or fewer by 64 columns.
unsafe fn one_by_four(tile: &Tile) {
    // SAFETY: as in `two_by_two`.
    unsafe {
        asm!(
            "tileloadd tmm0, [{s0} + {ss}]",
            "tileloadd tmm1, [{s0} + {ss} + 64]",
            "tileloadd tmm2, [{s0} + {ss} + 128]",
            "tileloadd tmm3, [{s0} + {ss} + 192]",
            "2:",
            "tileloadd tmm4, [{a0} + {as_}]",
            "tileloadd tmm5, [{b0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm5",
            "tileloadd tmm6, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm6",
            "tileloadd tmm7, [{b2} + {line}]",
            "tdpbf16ps tmm2, tmm4, tmm7",
            "tileloadd tmm5, [{b3} + {line}]",
            "tdpbf16ps tmm3, tmm4, tmm5",
            "add {a0}, 64",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "add {b2}, 1024",
            "add {b3}, 1024",
            "dec {k}",
            "jnz 2b",
            "tilestored [{c0} + {cs}], tmm0",
            "tilestored [{c0} + {cs} + 64], tmm1",
            "tilestored [{c0} + {cs} + 128], tmm2",
            "tilestored [{c0} + {cs} + 192], tmm3",
            s0 = in(reg) tile.start,
            ss = in(reg) 4 * tile.start_row,
            a0 = inout(reg) tile.a => _,
            as_ = in(reg) 2 * tile.a_row,
            b0 = inout(reg) tile.b => _,
            b1 = inout(reg) tile.b.wrapping_add(tile.b_tile) => _,
            b2 = inout(reg) tile.b.wrapping_add(2 * tile.b_tile) => _,
            b3 = inout(reg) tile.b.wrapping_add(3 * tile.b_tile) => _,
            line = in(reg) 64_usize,
            k = inout(reg) tile.depth / 32 => _,
            c0 = in(reg) tile.c,
            cs = in(reg) 4 * tile.c_row,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// 16 rows or fewer by 16 columns.
unsafe fn one_by_one(tile: &Tile) {
    // SAFETY: as in `two_by_two`.
    unsafe {
        asm!(
            "tileloadd tmm0, [{s0} + {ss}]",
            "2:",
            "tileloadd tmm4, [{a0} + {as_}]",
            "tileloadd tmm5, [{b0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm5",
            "add {a0}, 64",
            "add {b0}, 1024",
            "dec {k}",
            "jnz 2b",
            "tilestored [{c0} + {cs}], tmm0",
            s0 = in(reg) tile.start,
            ss = in(reg) 4 * tile.start_row,
            a0 = inout(reg) tile.a => _,
            as_ = in(reg) 2 * tile.a_row,
            b0 = inout(reg) tile.b => _,
            line = in(reg) 64_usize,
            k = inout(reg) tile.depth / 32 => _,
            c0 = in(reg) tile.c,
            cs = in(reg) 4 * tile.c_row,
            out("tmm0") _, out("tmm4") _, out("tmm5") _,
            options(nostack),
        );
    }
}
