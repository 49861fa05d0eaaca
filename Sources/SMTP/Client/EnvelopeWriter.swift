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
            writeMailbox(sender)
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
        writeStaticString("\r\n")
    }

    mutating func writeRecipient(_ recipient: Address) {
        writeStaticString("RCPT TO:<")
        writeMailbox(recipient)
        writeStaticString(">\r\n")
    }

    private mutating func writeMailbox(_ address: Address) {
        writeString(address.localPart)
        writeStaticString("@")
        writeString(address.domain)
    }
}

extension ClientEnvelope {
    /// What the addresses, and the message, ask of a host.
    var needs: ClientMachine.Needs {
        var needs = ClientMachine.Needs(recipients: recipients.count, size: size, utf8: utf8)
        if case .address(let sender) = sender {
            needs.look(at: sender)
        }
        for recipient in recipients {
            needs.look(at: recipient)
        }
        return needs
    }
}

extension ClientMachine.Needs {
    fileprivate mutating func look(at address: Address) {
        look(at: address.localPart)
        look(at: address.domain)
    }

    private mutating func look(at text: String) {
        for byte in text.utf8 {
            if byte > 126 {
                utf8 = utf8 || byte > 127
                unsafe = unsafe || byte == 127
            } else if byte < 32 {
                unsafe = true
            }
        }
    }
}
