import Glibc

/// Where the next command line ends. Only CRLF ends one (RFC 5321 section 2.3.8); a lone CR or LF is what smuggling is
/// made of and is told apart from a line that has not come in whole.
package enum LineFraming: Hashable, Sendable {
    /// Octets before the CRLF.
    case line(Int)
    case incomplete
    case bareCR
    case bareLF

    package static func next(_ bytes: UnsafeRawBufferPointer) -> LineFraming {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return .incomplete }
        guard let feed = memchr(base, 10, bytes.count).map({ UnsafeRawPointer($0) - base }) else {
            guard let cr = memchr(base, 13, bytes.count) else { return .incomplete }
            return UnsafeRawPointer(cr) - base == bytes.count - 1 ? .incomplete : .bareCR
        }
        guard feed > 0, bytes[feed - 1] == 13 else {
            return memchr(base, 13, feed) == nil ? .bareLF : .bareCR
        }
        return memchr(base, 13, feed - 1) == nil ? .line(feed - 1) : .bareCR
    }
}
