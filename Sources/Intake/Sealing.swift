import Mail
import NIOCore
import Queue
import SMTP
import Signing

/// Signing what is taken, when nothing about it changes any more. What cannot be signed though it should be is not
/// taken: without a signature it would be refused or worse where it goes.
extension MessageInProgress {
    /// The signatures of this message, from its header on; nil where nobody has a key for its author.
    private func begin(_ content: ByteBuffer) -> Signature? {
        services.configuration.signer?.begin(content, from: header.start, customer: customer, at: arrived)
    }

    /// A message in memory.
    func seal(_ content: ByteBuffer, _ kept: Kept) {
        guard let signature = begin(content) else {
            return commit(.inline(content), size: content.readableBytes, kept)
        }
        signature.fields(on: loop, hashing: true).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let fields):
                let whole = with(fields, content)
                commit(.inline(whole), size: whole.readableBytes, kept)
            case .failure(let error): notKept("it cannot be signed: \(error)", kept)
            }
        }
    }

    /// Ours stay on top, signatures stand below them.
    private func with(_ fields: ByteBuffer, _ content: ByteBuffer) -> ByteBuffer {
        var whole = ByteBuffer()
        whole.reserveCapacity(content.readableBytes + fields.readableBytes)
        var content = content
        if let ours = content.readSlice(length: header.start) { whole.writeImmutableBuffer(ours) }
        whole.writeImmutableBuffer(fields)
        whole.writeImmutableBuffer(content)
        return whole
    }

    // MARK: in a file

    /// The content of a file begins: room is left for the signatures, which are known when its last octet has come.
    func openSeal(_ content: inout ByteBuffer) {
        guard var signature = begin(content) else { return }
        signature.hashBegun()
        let blank = signature.blank
        content = with(blank, content)
        sealing = Sealing(signature: signature, room: blank.readableBytes)
    }

    /// What is in the file stays as it is.
    func seal(_ writer: any ContentWriter, _ kept: Kept) {
        guard let sealing else { return finish(writer, kept) }
        sealing.signature.fields(on: loop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let fields) where fields.readableBytes == sealing.room:
                // Its failure fails the file.
                _ = writer.overwrite(fields, at: header.start)
                finish(writer, kept)
            case .success:
                abandon()
                notKept("its signature has another length than its keys say", kept)
            case .failure(let error):
                abandon()
                notKept("it cannot be signed: \(error)", kept)
            }
        }
    }

    /// What is in the file is to be something else, in whose header there is room for signatures.
    func seal(_ writer: any ContentWriter, rewritten content: ByteBuffer, _ kept: Kept) {
        guard let sealing else {
            rewrite(content)
            return finish(writer, kept)
        }
        var rest = content
        var bare = rest.readSlice(length: header.start) ?? ByteBuffer()
        rest.moveReaderIndex(forwardBy: min(sealing.room, rest.readableBytes))
        bare.writeImmutableBuffer(rest)
        self.sealing = nil
        guard let signature = begin(bare) else {
            rewrite(bare)
            return finish(writer, kept)
        }
        signature.fields(on: loop, hashing: true).assumeIsolated().whenComplete { [self, bare] result in
            switch result {
            case .success(let fields):
                rewrite(with(fields, bare))
                finish(writer, kept)
            case .failure(let error):
                abandon()
                notKept("it cannot be signed: \(error)", kept)
            }
        }
    }

    /// Signatures of content that goes to a file.
    struct Sealing {
        var signature: Signature
        /// Octets that they will take.
        let room: Int
    }

    /// Octets of ours before the client's.
    var ours: Int { header.start + (sealing?.room ?? 0) }
}
