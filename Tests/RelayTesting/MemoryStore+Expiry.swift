import Mail
import NIOCore
import Queue

extension StoredMessage {
    /// As its row has it: what was held back expires later than its envelope says.
    func expiring(_ expires: Timestamp) -> StoredMessage {
        guard expires != message.expires else { return self }
        return StoredMessage(
            message: QueuedMessage(
                id: message.id, customer: message.customer, sender: message.sender, eightBit: message.eightBit,
                utf8: message.utf8, size: message.size, arrived: message.arrived, expires: expires,
                request: message.request, content: message.content),
            recipients: recipients)
    }

    var withoutContent: StoredMessage {
        guard case .inline = message.content else { return self }
        return StoredMessage(
            message: QueuedMessage(
                id: message.id, customer: message.customer, sender: message.sender, eightBit: message.eightBit,
                utf8: message.utf8, size: message.size, arrived: message.arrived, expires: message.expires,
                request: message.request, content: .inline(ByteBuffer())),
            recipients: recipients)
    }
}

extension ExpiryCursor {
    func isBefore(_ other: ExpiryCursor) -> Bool {
        (expires, key.message, key.domain) < (other.expires, other.key.message, other.key.domain)
    }
}
