//! Buffers and views of rows.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line; vectors that start on one are never split over two.
const LINE: usize = 64;

/// A number that is stored as it stands, and for which no bits at all are 0.
pub trait Plain: Copy + Default + Send + Sync + std::fmt::Debug + 'static + sealed::Sealed {}

mod sealed {
    /// Only this crate says what is plain.
    pub trait Sealed {}
}

macro_rules! plain {
    ($($number:ty),*) => {
        $(impl sealed::Sealed for $number {}
        impl Plain for $number {})*
    };
}
plain!(f32, f64, u16);

/// A buffer of zeros that starts on a cache line, kept for reuse.
pub struct Buffer<E: Plain> {
    start: NonNull<E>,
    len: usize,
    room: usize,
}

// SAFETY: the buffer owns its elements, which are plain numbers (`Plain` is sealed).
unsafe impl<E: Plain> Send for Buffer<E> {}
// SAFETY: a shared buffer can only be read.
unsafe impl<E: Plain> Sync for Buffer<E> {}

impl<E: Plain> Buffer<E> {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { start: NonNull::dangling(), len: 0, room: 0 }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::new();
        buffer.resize(len);
        buffer
    }

    /// Makes the length `len`. What the elements hold afterwards is some earlier content or zero.
    pub fn resize(&mut self, len: usize) {
        if len > self.room {
            let layout = Self::layout(len);
            // SAFETY: the layout has a size above zero, as `len > room >= 0` and no element is empty.
            let start = unsafe { alloc_zeroed(layout) };
            let Some(start) = NonNull::new(start.cast::<E>()) else { handle_alloc_error(layout) };
            *self = Self { start, len, room: len };
        }
        self.len = len;
    }

    fn layout(len: usize) -> Layout {
        Layout::array::<E>(len)
            .and_then(|layout| layout.align_to(LINE))
            .expect("a buffer is smaller than the address space")
    }
}

impl<E: Plain> Default for Buffer<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Plain> Drop for Buffer<E> {
    fn drop(&mut self) {
        if self.room > 0 {
            // SAFETY: allocated in `resize` with the same layout.
            unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.room)) }
        }
    }
}

impl<E: Plain> Deref for Buffer<E> {
    type Target = [E];
    fn deref(&self) -> &[E] {
        // SAFETY: `len <= room` elements were allocated as zeros, which are numbers, and only numbers
        // were written since; with no room, `len` is 0 and the address is aligned.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<E: Plain> DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<E: Plain> Clone for Buffer<E> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<E: Plain> std::fmt::Debug for Buffer<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Rows of `width` elements, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, E> {
    data: &'a [E],
    width: usize,
    stride: usize,
}

impl<'a, E: Copy> Rows<'a, E> {
    /// Rows in `data`.
    ///
    /// # Panics
    /// Where the stride is less than the width.
    pub fn new(data: &'a [E], width: usize, stride: usize) -> Self {
        assert!(stride >= width, "rows of {width} cannot be {stride} apart");
        Self { data, width, stride }
    }
    /// How many rows there are.
    pub fn count(&self) -> usize {
        if self.data.len() < self.width || self.stride == 0 {
            0
        } else {
            (self.data.len() - self.width) / self.stride + 1
        }
    }
    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Elements from the start of a row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }
    /// All of the memory that the rows lie in.
    pub fn data(&self) -> &'a [E] {
        self.data
    }
    /// Row `at`.
    pub fn row(&self, at: usize) -> &'a [E] {
        &self.data[at * self.stride..][..self.width]
    }
    pub(crate) fn pointer(&self) -> *const E {
        self.data.as_ptr()
    }
}

/// Rows to write, `stride` apart.
#[derive(Debug)]
pub struct RowsMut<'a, E> {
    data: &'a mut [E],
    width: usize,
    stride: usize,
}

impl<'a, E: Copy> RowsMut<'a, E> {
    /// Rows in `data`.
    ///
    /// # Panics
    /// Where the stride is less than the width.
    pub fn new(data: &'a mut [E], width: usize, stride: usize) -> Self {
        assert!(stride >= width, "rows of {width} cannot be {stride} apart");
        Self { data, width, stride }
    }
    /// The same rows, to read.
    pub fn rows(&self) -> Rows<'_, E> {
        Rows { data: self.data, width: self.width, stride: self.stride }
    }
    /// Row `at`.
    pub fn row_mut(&mut self, at: usize) -> &mut [E] {
        &mut self.data[at * self.stride..][..self.width]
    }
    pub(crate) fn pointer(&mut self) -> *mut E {
        self.data.as_mut_ptr()
    }
}

/// A pointer that several workers write through, each to its own part.
#[derive(Debug)]
pub(crate) struct Shared<'a, E> {
    start: *mut E,
    len: usize,
    borrow: PhantomData<&'a mut [E]>,
}

impl<E> Clone for Shared<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Shared<'_, E> {}

// SAFETY: the pointer comes from an exclusive borrow of plain numbers; every use is unsafe and states
// why no two workers touch the same element at the same time.
unsafe impl<E: Send> Send for Shared<'_, E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for Shared<'_, E> {}

impl<'a, E> Shared<'a, E> {
    pub(crate) fn new(slice: &'a mut [E]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrow: PhantomData }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The address of element `at`.
    ///
    /// # Safety
    /// `at` is at most the length of the slice.
    #[inline(always)]
    pub(crate) unsafe fn at(self, at: usize) -> *mut E {
        debug_assert!(at <= self.len, "element {at} of {}", self.len);
        // SAFETY: the caller's promise.
        unsafe { self.start.add(at) }
    }
}
