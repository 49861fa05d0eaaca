import Mail
import NIOCore

/// Writes the commands of a transaction (RFC 5321 section 4.1.1).
extension ByteBuffer {
    mutating func writeCommand(_ verb: StaticString, _ argument: String) {
        writeStaticString(verb)
        writeString(argument)
        writeStaticString("\r\n")
    }

    /// `SIZE=`, `BODY=` and `SMTPUTF8` only where the host offers them; 8-bit content goes as it is to a host that does
    /// not.
    mutating func writeMail(_ envelope: ClientEnvelope, needsUTF8: Bool, features: HostFeatures) {
        writeStaticString("MAIL FROM:<")
        if case .address(let sender) = envelope.sender {
            writeMailbox(sender, envelope, utf8: needsUTF8)
        }
        writeStaticString(">")
        if features.size != nil {
            writeStaticString(" SIZE=")
            writeString(String(envelope.size))
        }
        if envelope.eightBit && features.eightBit {
            writeStaticString(" BODY=8BITMIME")
        }
        if needsUTF8 && features.utf8 {
            writeStaticString(" SMTPUTF8")
        }
        if features.notices, let request = envelope.request { writeParameters(request) }
        writeStaticString("\r\n")
    }

    mutating func writeRecipient(
        _ recipient: Address, _ envelope: ClientEnvelope, utf8: Bool, features: HostFeatures
    ) {
        writeStaticString("RCPT TO:<")
        writeMailbox(recipient, envelope, utf8: utf8)
        writeStaticString(">")
        if features.notices, let request = envelope.request?[recipient] { writeParameters(request) }
        writeStaticString("\r\n")
    }

    /// RFC 3461 section 5.2.1: what came with the message goes on as it came.
    private mutating func writeParameters(_ request: NoticeRequest) {
        switch request.returned {
        case .full: writeStaticString(" RET=FULL")
        case .headers: writeStaticString(" RET=HDRS")
        case nil: break
        }
        if let envelopeID = request.envelopeID {
            writeStaticString(" ENVID=")
            writeString(envelopeID)
        }
    }

    private mutating func writeParameters(_ request: RecipientRequest) {
        if let notify = request.notify {
            writeStaticString(" NOTIFY=")
            if notify.isEmpty { writeStaticString("NEVER") }
            var first = true
            for (condition, name) in Self.conditions where notify.contains(condition) {
                if !first { writeStaticString(",") }
                writeStaticString(name)
                first = false
            }
        }
        if let original = request.original {
            writeStaticString(" ORCPT=")
            writeString(original)
        }
    }

    private static let conditions: [(RecipientRequest.Notify, StaticString)] = [
        (.success, "SUCCESS"), (.failure, "FAILURE"), (.delay, "DELAY"),
    ]

    /// U-labels go where SMTPUTF8 was asked for, and their A-labels elsewhere.
    private mutating func writeMailbox(_ address: Address, _ envelope: ClientEnvelope, utf8: Bool) {
        writeString(address.localPart)
        writeStaticString("@")
        if utf8 || address.domain.utf8.allSatisfy({ $0 < 128 }) {
            writeString(address.domain)
        } else {
            writeString(envelope.aLabels(address.domain) ?? address.domain)
        }
    }
}

extension ClientEnvelope {
    /// What the addresses, and the message, ask of a host.
    var needs: ClientMachine.Needs {
        var needs = ClientMachine.Needs(recipients: recipients.count, size: size, utf8: utf8)
        needs.eightBit = eightBit && !eightBitAsIs
        if case .address(let sender) = sender {
            needs.look(at: sender, aLabels)
        }
        for recipient in recipients {
            needs.look(at: recipient, aLabels)
        }
        return needs
    }
}

extension ClientMachine.Needs {
    fileprivate mutating func look(at address: Address, _ aLabels: (String) -> String?) {
        if isBeyondASCII(address.localPart) { utf8 = true }
        guard isBeyondASCII(address.domain) else { return }
        // A domain has two forms; a local part has one.
        if aLabels(address.domain) == nil { utf8 = true } else { idn = true }
    }

    private mutating func isBeyondASCII(_ text: String) -> Bool {
        var beyond = false
        for byte in text.utf8 {
            if byte > 126 {
                beyond = beyond || byte > 127
                unsafe = unsafe || byte == 127
            } else if byte < 32 {
                unsafe = true
            }
        }
        return beyond
    }
}
