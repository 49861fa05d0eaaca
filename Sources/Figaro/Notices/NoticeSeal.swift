import Mail
import NIOCore
import Queue
import Signing

/// Signs notices with the keys of the domain that they come from, whichever customers these are for otherwise.
struct NoticeSeal: NoticeSigner {
    let signer: Signer

    func begin(_ content: ByteBuffer, at time: Timestamp) -> (any NoticeSignature)? {
        guard var signature = signer.begin(content, from: 0, customer: nil, at: time) else { return nil }
        signature.hashBegun()
        return signature
    }
}

extension Signature: NoticeSignature {}
