//! A pickle, read as data.
//!
//! A pickle is a program for a machine with a stack. Here that machine can build numbers, texts, lists,
//! tuples and dictionaries, and note that an object of some class was to be made from some arguments. It
//! calls nothing: classes and functions are names, and names outside a short list are refused, like every
//! instruction that plain data does not need.
//!
//! Objects lie in one list and refer to each other by number, so that neither depth nor cycles can exhaust
//! the stack of the process; what walks them bounds its own depth and number of steps.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// The number of an object.
pub(super) type Ref = u32;

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, as its bytes: little-endian, with a sign.
    Long(Range<usize>),
    Float(f64),
    /// Where its UTF-8 text is in the pickle.
    Text(Range<usize>),
    Bytes(Range<usize>),
    List(Vec<Ref>),
    Tuple(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Set(Vec<Ref>),
    /// A class or a function: the places of its module and its name.
    Global(Range<usize>, Range<usize>),
    /// What a class or function was to make of these arguments.
    Made(Ref, Ref),
    /// Something that lies outside the pickle: what it is.
    Outside(Ref),
}

/// A pickle that was read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    objects: Vec<Object>,
    /// The object that it is.
    pub(super) root: Ref,
    /// Where the pickle ends.
    pub(super) end: usize,
}

/// Objects that a pickle may make.
const MOST_OBJECTS: usize = 400_000;
/// Objects that may stand on the stack or be remembered.
const MOST_STACKED: usize = 1_000_000;

/// Names that plain data of PyTorch needs. None of them is ever called.
const GLOBALS: [(&str, &[&str]); 13] = [
    ("collections", &["OrderedDict", "defaultdict", "Counter"]),
    ("builtins", &["set", "frozenset", "int", "float", "list", "dict", "str", "bool", "tuple"]),
    ("__builtin__", &["set", "frozenset", "int", "float", "list", "dict", "str", "bool", "tuple"]),
    (
        "torch._utils",
        &[
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_parameter",
            "_rebuild_parameter_with_state",
        ],
    ),
    (
        "torch",
        &[
            "FloatStorage",
            "DoubleStorage",
            "HalfStorage",
            "BFloat16Storage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
            "Size",
            "device",
            "float32",
            "float64",
            "float16",
            "bfloat16",
            "int64",
            "int32",
            "int16",
            "int8",
            "uint8",
            "bool",
            "strided",
        ],
    ),
    ("torch.storage", &["UntypedStorage", "TypedStorage"]),
    ("torch.serialization", &["_get_layout"]),
    ("torch.nn.parameter", &["Parameter"]),
    ("_codecs", &["encode"]),
    ("argparse", &["Namespace"]),
    ("numpy", &["dtype", "ndarray"]),
    ("numpy.core.multiarray", &["scalar", "_reconstruct"]),
    ("numpy._core.multiarray", &["scalar", "_reconstruct"]),
];

/// The machine while it reads.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Ref>,
    /// Where the stack stood at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that begins at `at`.
    ///
    /// # Errors
    /// An instruction or a name is not allowed, or the pickle is truncated or altered; the error names the
    /// byte.
    pub(super) fn read(bytes: &'a [u8], at: usize) -> Result<Self> {
        let mut machine = Machine {
            bytes,
            at,
            objects: vec![Object::None, Object::Bool(false), Object::Bool(true)],
            stack: vec![],
            marks: vec![],
            memo: HashMap::new(),
        };
        loop {
            let at = machine.at;
            match machine.step() {
                Ok(None) => {}
                Ok(Some(root)) => {
                    let (objects, end) = (machine.objects, machine.at);
                    return Ok(Self { bytes, objects, root, end });
                }
                Err(error) => return Err(error.at(at as u64)),
            }
        }
    }

    pub(super) fn get(&self, object: Ref) -> &Object {
        &self.objects[object as usize]
    }
    /// The text of an object that is one.
    pub(super) fn text(&self, object: Ref) -> Option<&'a str> {
        match self.get(object) {
            Object::Text(range) => std::str::from_utf8(&self.bytes[range.clone()]).ok(),
            _ => None,
        }
    }
    /// The elements of a tuple or a list.
    pub(super) fn elements(&self, object: Ref) -> Option<&[Ref]> {
        match self.get(object) {
            Object::Tuple(elements) | Object::List(elements) => Some(elements),
            _ => None,
        }
    }
    /// Module and name of a class or a function.
    pub(super) fn global(&self, object: Ref) -> Option<(&'a str, &'a str)> {
        match self.get(object) {
            Object::Global(module, name) => {
                let text = |range: &Range<usize>| std::str::from_utf8(&self.bytes[range.clone()]);
                Some((text(module).ok()?, text(name).ok()?))
            }
            _ => None,
        }
    }
}

impl Machine<'_> {
    fn take(&mut self, count: usize) -> Result<Range<usize>> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(Error::damaged(format!(
                "expected {count} bytes more, found the end of the pickle after {}",
                self.bytes.len() - self.at
            )));
        };
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }
    fn number(&mut self, count: usize) -> Result<u64> {
        let range = self.take(count)?;
        Ok(self.bytes[range].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
    /// As many bytes as a length of `count` bytes says.
    fn counted(&mut self, count: usize) -> Result<Range<usize>> {
        let length = self.number(count)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
    fn line(&mut self) -> Result<Range<usize>> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(1024).position(|byte| *byte == b'\n') else {
            return Err(Error::damaged("expected a line, found no end of it"));
        };
        let range = self.at..self.at + length;
        self.at += length + 1;
        Ok(range)
    }
    fn text(&mut self, range: Range<usize>) -> Result<Object> {
        match std::str::from_utf8(&self.bytes[range.clone()]) {
            Ok(_) => Ok(Object::Text(range)),
            Err(error) => Err(Error::damaged(format!("expected UTF-8 text, found none ({error})"))),
        }
    }

    fn push(&mut self, object: Ref) -> Result<()> {
        if self.stack.len() + self.memo.len() + self.marks.len() >= MOST_STACKED {
            let text = format!("a pickle that stacks more than {MOST_STACKED} objects");
            return Err(Error::refused(text));
        }
        self.stack.push(object);
        Ok(())
    }
    fn make(&mut self, object: Object) -> Result<()> {
        if self.objects.len() >= MOST_OBJECTS {
            let text = format!("a pickle of more than {MOST_OBJECTS} objects");
            return Err(Error::refused(text));
        }
        self.objects.push(object);
        self.push((self.objects.len() - 1) as Ref)
    }
    fn pop(&mut self) -> Result<Ref> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(Error::damaged("expected an object on the stack, found none"));
        }
        self.top().inspect(|_| self.stack.truncate(self.stack.len() - 1))
    }
    fn top(&self) -> Result<Ref> {
        let last = self.stack.last().copied();
        last.ok_or_else(|| Error::damaged("expected an object on the stack, found none"))
    }
    /// All since the last mark.
    fn marked(&mut self) -> Result<Vec<Ref>> {
        let mark = self.marks.pop();
        let mark =
            mark.ok_or_else(|| Error::damaged("expected a mark on the stack, found none"))?;
        Ok(self.stack.split_off(mark))
    }
    fn pairs(&mut self) -> Result<Vec<(Ref, Ref)>> {
        let all = self.marked()?;
        if all.len() % 2 == 1 {
            return Err(Error::damaged(
                "expected keys with values, found an odd number of objects",
            ));
        }
        Ok(all.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }
    fn tuple(&mut self, count: usize) -> Result<()> {
        let mut elements = vec![];
        for _ in 0..count {
            elements.insert(0, self.pop()?);
        }
        self.make(Object::Tuple(elements))
    }
    fn remember(&mut self, at: u32) -> Result<()> {
        let top = self.top()?;
        if self.memo.len() >= MOST_STACKED {
            let text = format!("a pickle that remembers more than {MOST_STACKED} objects");
            return Err(Error::refused(text));
        }
        self.memo.insert(at, top);
        Ok(())
    }
    fn recall(&mut self, at: u64) -> Result<()> {
        let found = u32::try_from(at).ok().and_then(|at| self.memo.get(&at).copied());
        let found = found.ok_or_else(|| {
            Error::damaged(format!("expected object {at} to be remembered, found none"))
        })?;
        self.push(found)
    }
    fn append(&mut self, more: Vec<Ref>) -> Result<()> {
        let top = self.top()? as usize;
        match &mut self.objects[top] {
            Object::List(all) | Object::Set(all) => all.extend(more),
            other => {
                let text = format!("expected a list to add to, found {}", other.kind());
                return Err(Error::damaged(text));
            }
        }
        Ok(())
    }
    fn set(&mut self, more: Vec<(Ref, Ref)>) -> Result<()> {
        let top = self.top()? as usize;
        match &mut self.objects[top] {
            Object::Dict(all) => all.extend(more),
            other => {
                let text = format!("expected a dictionary to add to, found {}", other.kind());
                return Err(Error::damaged(text));
            }
        }
        Ok(())
    }

    fn global(&mut self, module: Range<usize>, name: Range<usize>) -> Result<()> {
        let text =
            |range: &Range<usize>| String::from_utf8_lossy(&self.bytes[range.clone()]).into_owned();
        let (m, n) = (text(&module), text(&name));
        let known = GLOBALS.iter().any(|(module, names)| *module == m && names.contains(&&*n));
        if known {
            return self.make(Object::Global(module, name));
        }
        let why = if m.starts_with("__torch__") {
            "a TorchScript archive; save the state_dict() of the module it was made from"
        } else {
            "no name that plain data needs; nothing is ever executed. If this is a whole module or a \
             training object, save its state_dict() alone"
        };
        Err(Error::refused(format!("the pickle asks for `{m}.{n}`: {why}")))
    }

    /// Notes what `class` was to make of `arguments`; containers are made.
    fn reduce(&mut self, class: Ref, arguments: Ref) -> Result<()> {
        let Object::Global(module, name) = &self.objects[class as usize] else {
            return Err(Error::damaged("expected a class or a function to call, found none"));
        };
        if !matches!(self.objects[arguments as usize], Object::Tuple(_)) {
            return Err(Error::damaged("expected a tuple of arguments, found none"));
        }
        let module = std::str::from_utf8(&self.bytes[module.clone()]).unwrap_or_default();
        let name = std::str::from_utf8(&self.bytes[name.clone()]).unwrap_or_default();
        let ordered = ["OrderedDict", "defaultdict", "Counter"].contains(&name);
        if module == "collections" && ordered || (module, name) == ("argparse", "Namespace") {
            let mut items = vec![];
            if let Object::Tuple(arguments) = &self.objects[arguments as usize]
                && let Some(first) = arguments.last()
            {
                items = self.items(*first);
            }
            return self.make(Object::Dict(items));
        }
        self.make(Object::Made(class, arguments))
    }

    /// The items of a dictionary, or of a list of pairs.
    fn items(&self, object: Ref) -> Vec<(Ref, Ref)> {
        match &self.objects[object as usize] {
            Object::Dict(items) => items.clone(),
            Object::List(pairs) => {
                let pair = |pair: &Ref| match &self.objects[*pair as usize] {
                    Object::List(pair) | Object::Tuple(pair) if pair.len() == 2 => {
                        Some((pair[0], pair[1]))
                    }
                    _ => None,
                };
                pairs.iter().filter_map(pair).collect()
            }
            _ => vec![],
        }
    }

    /// One instruction; gives the object of the pickle at its end.
    fn step(&mut self) -> Result<Option<Ref>> {
        let opcode = self.number(1)? as u8;
        match opcode {
            0x80 => match self.number(1)? {
                2..=5 => {}
                other => return Err(Error::refused(format!("pickle protocol {other}"))),
            },
            0x95 => {
                self.number(8)?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => {
                if self.stack.len() + self.marks.len() >= MOST_STACKED {
                    return Err(Error::refused("a pickle with too many marks"));
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.marked()?;
            }
            b'N' => self.push(0)?,
            0x89 => self.push(1)?,
            0x88 => self.push(2)?,
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let value = self.number(4)? as u32;
                self.make(Object::Int(i64::from(value.cast_signed())))?;
            }
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                let bits = self.number(8)?.swap_bytes();
                self.make(Object::Float(f64::from_bits(bits)))?;
            }
            b'X' => self.counted_text(4)?,
            0x8c => self.counted_text(1)?,
            0x8d => self.counted_text(8)?,
            b'U' => self.counted_bytes(1)?,
            b'T' | b'B' => self.counted_bytes(4)?,
            b'C' => self.counted_bytes(1)?,
            0x8e => self.counted_bytes(8)?,
            b']' => self.make(Object::List(vec![]))?,
            b'}' => self.make(Object::Dict(vec![]))?,
            b')' => self.make(Object::Tuple(vec![]))?,
            0x8f => self.make(Object::Set(vec![]))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let all = self.marked()?;
                self.make(Object::Tuple(all))?;
            }
            b'l' => {
                let all = self.marked()?;
                self.make(Object::List(all))?;
            }
            b'd' => {
                let all = self.pairs()?;
                self.make(Object::Dict(all))?;
            }
            b'a' => {
                let one = self.pop()?;
                self.append(vec![one])?;
            }
            b'e' | 0x90 => {
                let more = self.marked()?;
                self.append(more)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let more = self.pairs()?;
                self.set(more)?;
            }
            b'q' => {
                let at = self.number(1)? as u32;
                self.remember(at)?;
            }
            b'r' => {
                let at = self.number(4)? as u32;
                self.remember(at)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let at = self.number(1)?;
                self.recall(at)?;
            }
            b'j' => {
                let at = self.number(4)?;
                self.recall(at)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.objects[module as usize], &self.objects[name as usize]) {
                    (Object::Text(module), Object::Text(name)) => {
                        let (module, name) = (module.clone(), name.clone());
                        self.global(module, name)?;
                    }
                    _ => return Err(Error::damaged("expected the name of a class, found none")),
                }
            }
            b'R' | 0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.reduce(class, arguments)?;
            }
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                self.make(Object::Outside(id))?;
            }
            other => {
                let shown = if other.is_ascii_graphic() {
                    format!(" (`{}`)", char::from(other))
                } else {
                    String::new()
                };
                return Err(Error::refused(format!(
                    "the instruction {other:#04x}{shown} of a pickle, which plain data does not need"
                )));
            }
        }
        Ok(None)
    }

    fn integer(&mut self, count: usize) -> Result<()> {
        let value = self.number(count)?;
        self.make(Object::Int(value as i64))
    }
    fn long(&mut self, count: usize) -> Result<()> {
        let range = self.counted(count)?;
        let bytes = &self.bytes[range.clone()];
        if bytes.len() > 8 {
            return self.make(Object::Long(range));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = if negative { [0xff; 8] } else { [0; 8] };
        whole[..bytes.len()].copy_from_slice(bytes);
        self.make(Object::Int(i64::from_le_bytes(whole)))
    }
    fn counted_text(&mut self, count: usize) -> Result<()> {
        let range = self.counted(count)?;
        let text = self.text(range)?;
        self.make(text)
    }
    fn counted_bytes(&mut self, count: usize) -> Result<()> {
        let range = self.counted(count)?;
        self.make(Object::Bytes(range))
    }
    /// Gives an object its attributes: those of a dictionary of options are its items, those of others are
    /// about the class and are no weights.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let top = self.top()? as usize;
        let empty = matches!(&self.objects[top], Object::Dict(items) if items.is_empty());
        if empty {
            let items = self.items(state);
            self.objects[top] = Object::Dict(items);
        }
        Ok(())
    }
}

impl Object {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Set(_) => "a set",
            Self::Global(..) => "a class",
            Self::Made(..) => "an object",
            Self::Outside(_) => "a storage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Pickle::read(bytes, 0).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_called_that_is_not_known() {
        let attack = b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.";
        let text = refusal(attack);
        assert!(text.starts_with("byte 2: the pickle asks for `posix.system`"), "{text}");
        let attack = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
        assert!(refusal(attack).contains("`builtins.eval`"));
        for opcode in [b'i', b'o', b'P', 0x82, 0x92, 0x97] {
            let text = refusal(&[0x80, 2, opcode, b'\n', b'.']);
            assert!(text.contains("byte 2") && text.contains("instruction"), "{text}");
        }
    }

    #[test]
    fn damage_is_named_with_its_byte() {
        for (bytes, expected) in [
            (&b""[..], "byte 0: expected 1 bytes more"),
            (b"\x80\x02.", "byte 2: expected an object on the stack"),
            (b"\x80\x02K\x01a.", "byte 4: expected an object on the stack"),
            (b"\x80\x02]u.", "byte 3: expected a mark"),
            (b"\x80\x02(K\x01u.", "byte 5: expected keys with values"),
            (b"\x80\x02h\x07.", "byte 2: expected object 7 to be remembered"),
            (b"\x80\x02X\xff\xff\xff\xff.", "byte 2: expected 4294967295 bytes more"),
            (b"\x80\x09.", "byte 0: pickle protocol 9"),
        ] {
            let text = refusal(bytes);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn neither_depth_nor_cycles_nor_numbers_exhaust_anything() {
        let mut deep = b"\x80\x02".to_vec();
        deep.extend(std::iter::repeat_n(b"]", 300_000).flatten());
        deep.extend(std::iter::repeat_n(b"a", 299_999).flatten());
        deep.push(b'.');
        let pickle = Pickle::read(&deep, 0).unwrap();
        let walk = |pickle: &Pickle<'_>| {
            super::super::state::storages(pickle, &Default::default()).unwrap_err().to_string()
        };
        assert!(walk(&pickle).contains("deeper"), "{}", walk(&pickle));
        let cycle = Pickle::read(b"\x80\x02]q\0h\0a.", 0).unwrap();
        assert!(walk(&cycle).contains("deeper"));
        // Every list holds the one before twice: 2^50 of them.
        let mut tree = b"\x80\x02]".to_vec();
        for at in 0..50 {
            tree.extend([b'q', at, b'0', b']', b'h', at, b'a', b'h', at, b'a']);
        }
        tree.push(b'.');
        assert!(walk(&Pickle::read(&tree, 0).unwrap()).contains("more than 100000 objects"));
        let many = [&b"\x80\x02"[..], &vec![b']'; 500_000], b"."].concat();
        assert!(refusal(&many).contains("more than 400000 objects"));
        let many = [&b"\x80\x02"[..], &vec![b'N'; 1_100_000], b"."].concat();
        assert!(refusal(&many).contains("stacks more than"));
    }
}
