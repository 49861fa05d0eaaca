import Mail
package import NIOCore
import NIOPosix

/// The signatures of one message, one for each key, from its header on to its last octet.
package struct Signature: Sendable {
    private let entries: [Signer.Entry]
    private let names: [String]
    /// The fields that are covered, canonical and in the order of `names`.
    private let covered: [UInt8]
    private let seconds: Int64
    private var body = BodyHash()
    /// Kept until the body in it is hashed.
    private var content: ByteBuffer
    private let bodyStart: Int

    init(entries: [Signer.Entry], header: HeaderBlock, names: [String], content: ByteBuffer, time: Timestamp) {
        self.entries = entries
        self.names = names
        self.content = content
        bodyStart = header.body
        seconds = time.milliseconds / 1_000
        covered = Self.covered(names, header, content)
    }

    /// Hashes what `content` had of the body when the signature was begun.
    package mutating func hashBegun() {
        guard
            let part = content.getSlice(
                at: content.readerIndex + bodyStart, length: max(0, content.readableBytes - bodyStart))
        else { return }
        body.update(part)
        content = ByteBuffer()
    }

    /// Hashes what came after it.
    package mutating func hash(_ further: ByteBuffer) { body.update(further) }

    /// Fields of the same length as those of ``fields(on:)``, to be written over later.
    package var blank: ByteBuffer {
        let hash = String(repeating: "A", count: 44)
        return ByteBuffer(
            string: entries.map { entry in
                field(entry, hash) + Self.folded(String(repeating: "A", count: entry.key.signatureLength)) + "\r\n"
            }.joined())
    }

    /// The header fields, each with its CRLF, computed on a thread that may take its time.
    ///
    /// - Parameter hashing: the body is what `content` had when the signature was begun, and has yet to be hashed.
    package func fields(on loop: any EventLoop, hashing: Bool = false) -> EventLoopFuture<ByteBuffer> {
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            var signature = self
            if hashing { signature.hashBegun() }
            return try signature.fields()
        }
    }

    /// The same on the caller's thread, which may take its time.
    package func fields() throws -> ByteBuffer {
        let hash = body.finished()
        return ByteBuffer(
            string: try entries.map { entry in
                let field = field(entry, hash)
                var signed = covered
                // Its own field comes last, with an empty `b=` and without its CRLF (RFC 6376 section 3.7).
                RelaxedField.append(
                    "dkim-signature", field.utf8.dropFirst("DKIM-Signature:".utf8.count), to: &signed, ends: false)
                return field + Self.folded(try entry.key.signature(of: signed)) + "\r\n"
            }.joined())
    }

    /// Up to its `b=`.
    private func field(_ entry: Signer.Entry, _ hash: String) -> String {
        var lines = [
            "DKIM-Signature: v=1; a=\(entry.key.algorithm.tag); c=relaxed/relaxed;",
            " d=\(entry.domain); s=\(entry.selector); t=\(seconds);",
        ]
        var line = " h="
        for (index, name) in names.enumerated() {
            if line.utf8.count + name.utf8.count > 74 {
                lines.append(line)
                line = "  "
            }
            line += name + (index + 1 < names.count ? ":" : ";")
        }
        lines.append(line)
        lines.append(" bh=\(hash);")
        lines.append(" b=")
        return lines.joined(separator: "\r\n")
    }

    private static func folded(_ text: String) -> String {
        var lines: [Substring] = []
        var rest = text[...]
        while !rest.isEmpty {
            lines.append(rest.prefix(72))
            rest = rest.dropFirst(72)
        }
        return lines.joined(separator: "\r\n  ")
    }

    /// Of several fields of a name the last comes first; one that is not there adds nothing (RFC 6376 section 5.4.2).
    private static func covered(_ names: [String], _ header: HeaderBlock, _ content: ByteBuffer) -> [UInt8] {
        var places = Dictionary(grouping: header.fields, by: \.name)
        var output: [UInt8] = []
        content.withUnsafeReadableBytes { octets in
            for name in names {
                guard let field = places[name]?.popLast() else { continue }
                RelaxedField.append(name, octets[field.value..<field.range.upperBound], to: &output)
            }
        }
        return output
    }
}
