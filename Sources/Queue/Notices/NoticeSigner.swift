package import Mail
package import NIOCore

/// Signs what we write ourselves, which receivers trust no more than other mail.
package protocol NoticeSigner: Sendable {
    /// Begins the signatures of a notice; nil where there is no key for the domain that it comes from.
    ///
    /// - Parameter content: its whole header, and what there is of its body.
    func begin(_ content: ByteBuffer, at time: Timestamp) -> (any NoticeSignature)?
}

/// The signatures of one notice.
package protocol NoticeSignature: Sendable {
    /// As long as ``fields()``.
    var blank: ByteBuffer { get }

    /// Takes what comes after the content with which it was begun.
    mutating func hash(_ further: ByteBuffer)

    /// Header fields, each with its CRLF, to stand above the others. Takes some milliseconds.
    func fields() throws -> ByteBuffer
}

extension NoticeSigner {
    /// Content that is whole, with its signatures; as it is where it cannot be signed, since whoever is to be told had
    /// better hear it without.
    func signed(_ content: ByteBuffer, at time: Timestamp) -> ByteBuffer {
        guard let signature = begin(content, at: time), var signed = try? signature.fields() else { return content }
        signed.writeImmutableBuffer(content)
        return signed
    }
}
