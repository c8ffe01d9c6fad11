//! A server's message of any content: refused, or read; what is read and built again reads the same.

use daam_pgwire::backend::{
    command_complete, parameter_status, parse_backend_key_data, parse_command_complete, parse_data_row,
    parse_parameter_status,
};
use daam_pgwire::{FrameBuffer, Report, TransactionStatus};

pub(crate) fn holds(bytes: &[u8]) {
    let body = |message: &[u8]| message.get(5..).unwrap_or_default().to_vec();
    if let Ok(report) = Report::parse(bytes) {
        let again = Report::parse(&body(&report.to_error())).expect("what we build can be read");
        assert_eq!(again, report);
        let _ = (report.code(), report.text(), report.is_fatal(), report.error_position());
    }
    if let Ok(tag) = parse_command_complete(bytes)
        && let Ok(text) = std::str::from_utf8(tag)
    {
        assert_eq!(body(&command_complete(text)), bytes);
    }
    if let Ok((name, value)) = parse_parameter_status(bytes) {
        assert_eq!(body(&parameter_status(name, value)), bytes);
    }
    if let Ok(row) = parse_data_row(bytes) {
        let held: usize = row.iter().flatten().map(|value| value.len()).sum();
        assert!(held <= bytes.len(), "values beyond the message");
    }
    if let Ok(key) = parse_backend_key_data(bytes) {
        assert!(key.secret.len() <= bytes.len());
    }
    let _ = TransactionStatus::parse(bytes);
    let mut buffer = FrameBuffer::with_bytes(bytes);
    while let Ok(Some(frame)) = buffer.take() {
        assert_eq!(frame.as_bytes().len(), frame.body().len() + 5);
    }
}
