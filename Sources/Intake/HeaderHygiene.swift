import NIOCore
import Signing

/// Takes out header fields that are not the customer's to send: who else got it, what only we may say, and the return
/// path, which the last server writes. What a signature covers stays: without it the signature would be broken.
enum HeaderHygiene {
    private static let unwanted: Set<String> = ["bcc", "resent-bcc", "return-path"]

    /// - Parameter start: octets of ours before the header.
    static func cleaned(_ content: ByteBuffer, from start: Int, hostname: String) -> ByteBuffer {
        let header = HeaderBlock(content, from: start)
        let signed = header.signedNames(in: content)
        let removed = header.fields.filter { field in
            !signed.contains(field.name) && isUnwanted(field, content, hostname)
        }
        guard !removed.isEmpty else { return content }
        var whole = ByteBuffer()
        whole.reserveCapacity(content.readableBytes + 128)
        var place = 0
        for range in removed.map(\.range) + [content.readableBytes..<content.readableBytes] {
            let length = range.lowerBound - place
            if let kept = content.getSlice(at: content.readerIndex + place, length: length) {
                whole.writeImmutableBuffer(kept)
            }
            place = range.upperBound
        }
        return whole
    }

    private static func isUnwanted(_ field: HeaderBlock.Field, _ content: ByteBuffer, _ hostname: String) -> Bool {
        if unwanted.contains(field.name) || field.name.hasPrefix("x-figaro-") { return true }
        guard field.name == "authentication-results" else { return false }
        // Whoever reads it would believe that we have checked something (RFC 8601 section 5).
        let value = content.withUnsafeReadableBytes {
            String(decoding: $0[field.value..<field.range.upperBound], as: UTF8.self)
        }
        let server = value.drop(while: \.isWhitespace).prefix { $0 != ";" && !$0.isWhitespace }
        return server.lowercased() == hostname.lowercased()
    }
}
