//! One ONNX Runtime session that many threads run at once: the module that
//! speaks to the C API itself.
//!
//! `Session::run` of the bindings takes `&mut self`, because they free outputs
//! through an allocator that custom execution providers may not have made
//! thread-safe. Only the CPU provider is used here, and the C API says of
//! `OrtSession` that `Run` may be called by many threads at the same time
//! (onnxruntime_c_api.h, "OrtApi::Run"; pykeio/ort issue 402).

#![expect(
    unsafe_code,
    reason = "only the C API shares a session between threads and tells its version"
)]

use std::ffi::{CStr, CString, NulError};
use std::path::Path;
use std::ptr::{NonNull, null_mut};

use ort::AsPointer;
use ort::session::{RunOptions, Session};
use ort::value::{DynValue, DynValueRef, DynValueRefMut};

/// A session with the names it is run with.
#[derive(Debug)]
pub(super) struct SharedSession {
    session: Session,
    input_names: Vec<CString>,
    output_names: Vec<CString>,
}

/// A tensor handed to the graph.
pub(super) enum Given<'a> {
    /// Over memory of the caller.
    Borrowed(DynValueRef<'a>),
    /// With memory of its own.
    Owned(DynValue),
}

impl Given<'_> {
    fn value(&self) -> &DynValue {
        match self {
            Self::Borrowed(value) => value,
            Self::Owned(value) => value,
        }
    }
}

/// Where an output goes.
pub(super) enum Slot<'a> {
    /// Into memory of the caller, whose shape has to be right.
    Into(DynValueRefMut<'a>),
    /// Into a value the runtime makes.
    Made(Option<DynValue>),
}

impl SharedSession {
    /// A session that is always run with these inputs and outputs.
    pub(super) fn new<'n>(
        session: Session,
        inputs: impl Iterator<Item = &'n str>,
        outputs: impl Iterator<Item = &'n str>,
    ) -> Result<Self, NulError> {
        Ok(Self {
            session,
            input_names: inputs.map(CString::new).collect::<Result<_, _>>()?,
            output_names: outputs.map(CString::new).collect::<Result<_, _>>()?,
        })
    }

    /// Runs the graph. `inputs` and `outputs` are as many as the names and in their order.
    pub(super) fn run(
        &self,
        inputs: &[Given<'_>],
        outputs: &mut [Slot<'_>],
        options: &RunOptions,
    ) -> ort::Result<()> {
        if inputs.len() != self.input_names.len() || outputs.len() != self.output_names.len() {
            return Err(ort::Error::new("as many values as names are needed"));
        }
        let input_names: Vec<_> = self.input_names.iter().map(|name| name.as_ptr()).collect();
        let output_names: Vec<_> = self.output_names.iter().map(|name| name.as_ptr()).collect();
        let values: Vec<_> = inputs.iter().map(|input| input.value().ptr()).collect();
        let slots = outputs.iter_mut().map(|slot| match slot {
            Slot::Into(value) => value.ptr().cast_mut(),
            Slot::Made(_) => null_mut(),
        });
        let mut slots: Vec<*mut ort::sys::OrtValue> = slots.collect();
        // SAFETY: every array has the length that is passed with it (checked
        // above) and outlives the call, as do the values and names they point
        // to. The session is not changed by Run, which is documented as callable
        // from several threads; the pointer is only mutable in the C signature.
        // Values of `Slot::Into` are borrowed mutably for the call.
        let status = unsafe {
            (ort::api().Run)(
                self.session.ptr().cast_mut(),
                options.ptr(),
                input_names.as_ptr(),
                values.as_ptr(),
                values.len(),
                output_names.as_ptr(),
                output_names.len(),
                slots.as_mut_ptr(),
            )
        };
        // SAFETY: the status was returned by the C API just now.
        unsafe { ort::Error::result_from_status(status) }?;
        for (slot, pointer) in outputs.iter_mut().zip(slots) {
            if let Slot::Made(made) = slot {
                // SAFETY: the runtime allocated this value for a null slot, and
                // its ownership passes to the caller; the CPU allocator behind
                // it is the session's, and may be used from any thread.
                let own = |pointer| unsafe {
                    DynValue::from_ptr(pointer, Some(self.session.allocator()))
                };
                *made = NonNull::new(pointer).map(own);
            }
        }
        Ok(())
    }
}

/// The version a library of ONNX Runtime says it has, `1.31.1` for instance.
pub(super) fn library_version(path: &Path) -> Result<String, libloading::Error> {
    type GetBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: the path is the operator's choice of a library to run in this
    // process, as the bindings do right after; the symbol has the type that
    // onnxruntime_c_api.h gives it, which no version has changed; base and text
    // are constants inside the library, which is open until the text is copied.
    unsafe {
        let library = libloading::Library::new(path)?;
        let base = (library.get::<GetBase>(b"OrtGetApiBase")?)();
        let text = base
            .as_ref()
            .map(|base| CStr::from_ptr((base.GetVersionString)()));
        Ok(text.map_or_else(String::new, |text| text.to_string_lossy().into_owned()))
    }
}
