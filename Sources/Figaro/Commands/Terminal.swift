import Foundation
import Glibc

/// What commands say. Text goes out as it is: whoever prints what came from outside passes it through ``Visible``
/// first.
enum Terminal {
    static func say(_ line: String) {
        write(line + "\n", to: STDOUT_FILENO)
    }

    static func complain(_ line: String) {
        write(line + "\n", to: STDERR_FILENO)
    }

    /// One JSON value on a line of its own.
    static func say(json value: some Encodable) {
        say(JSONLine.text(value))
    }

    private static func write(_ text: String, to file: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = Glibc.write(file, rest.baseAddress, rest.count)
                if written < 0, errno == EINTR { continue }
                // A reader that went away (`figaro queue list | head`) is no error worth a word.
                guard written > 0 else { return }
                rest = rest.dropFirst(written)
            }
        }
    }
}

extension Slice where Base == UnsafeBufferPointer<UInt8> {
    fileprivate var baseAddress: UnsafePointer<UInt8>? { UnsafeBufferPointer(rebasing: self).baseAddress }
}
