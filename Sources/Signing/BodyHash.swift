import Crypto
package import NIOCore

/// The hash of a body in the relaxed canonicalization (RFC 6376 section 3.4.4), computed while the body arrives.
///
/// White space at the end of lines and empty lines at the end of the body do not count, other runs of white space count
/// as one space, and a last line without CRLF counts as one that has it, as it has when it is sent. Lines end in CRLF;
/// a CR or LF that stands alone is an octet like any other.
package struct BodyHash: Sendable {
    private var hash = SHA256()
    /// Octets to be hashed; the hash takes many at a time.
    private var canonical: [UInt8] = []
    /// CRLFs that count only if something follows them.
    private var emptyLines = 0
    /// White space that counts only if something of its line follows.
    private var hasSpace = false
    private var hasReturn = false
    private var isInLine = false

    private static let most = 16 << 10

    package init() {
        canonical.reserveCapacity(Self.most + 256)
    }

    package mutating func update(_ body: ByteBuffer) {
        body.withUnsafeReadableBytes { update($0) }
    }

    package mutating func update(_ body: UnsafeRawBufferPointer) {
        for octet in body {
            if hasReturn {
                hasReturn = false
                if octet == 10 {
                    endLine()
                    continue
                }
                take(13)
            }
            switch octet {
            case 13: hasReturn = true
            case 32, 9: hasSpace = true
            default: take(octet)
            }
        }
    }

    private mutating func endLine() {
        hasSpace = false
        if isInLine {
            canonical.append(13)
            canonical.append(10)
            isInLine = false
            if canonical.count >= Self.most { flush() }
        } else {
            emptyLines += 1
        }
    }

    private mutating func take(_ octet: UInt8) {
        if emptyLines > 0 { takeEmptyLines() }
        if hasSpace {
            canonical.append(32)
            hasSpace = false
        }
        canonical.append(octet)
        isInLine = true
        if canonical.count >= Self.most { flush() }
    }

    private mutating func takeEmptyLines() {
        while emptyLines > 0 {
            canonical.append(13)
            canonical.append(10)
            emptyLines -= 1
            if canonical.count >= Self.most { flush() }
        }
    }

    private mutating func flush() {
        hash.update(data: canonical)
        canonical.removeAll(keepingCapacity: true)
    }

    /// The hash of what was seen, in base64.
    package func finished() -> String {
        var whole = self
        if whole.hasReturn {
            whole.hasReturn = false
            whole.take(13)
        }
        if whole.isInLine { whole.endLine() }
        whole.flush()
        return Base64.text(Array(whole.hash.finalize()))
    }
}
