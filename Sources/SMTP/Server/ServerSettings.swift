package import NIOCore

/// What all sessions of a listener share; replies that never change are written once.
package final class ServerSettings: Sendable {
    package let mode: TLSMode
    let messageSize: Int
    let lineLength: Int
    let timeouts: ServerTimeouts
    let greeting: ByteBuffer
    let helo: ByteBuffer
    /// By the raw value of ``ServerMachine/Offers``.
    private let ehlos: [ByteBuffer]

    /// - Parameters:
    ///   - messageSize: octets of content.
    ///   - lineLength: octets of a line of content without CRLF.
    package init(
        hostname: String, mode: TLSMode, messageSize: Int, lineLength: Int, timeouts: ServerTimeouts
    ) {
        self.mode = mode
        self.messageSize = messageSize
        self.lineLength = lineLength
        self.timeouts = timeouts
        greeting = ByteBuffer(string: "220 \(hostname) ESMTP Figaro\r\n")
        helo = ByteBuffer(string: "250 \(hostname)\r\n")
        ehlos = (0...ServerMachine.Offers.all.rawValue).map {
            Self.ehlo(hostname, messageSize, ServerMachine.Offers(rawValue: $0))
        }
    }

    func ehlo(_ offers: ServerMachine.Offers) -> ByteBuffer {
        ehlos[Int(offers.intersection(.all).rawValue)]
    }

    private static func ehlo(_ hostname: String, _ messageSize: Int, _ offers: ServerMachine.Offers) -> ByteBuffer {
        var text = "250-\(hostname)\r\n250-PIPELINING\r\n250-SIZE \(messageSize)\r\n"
        if offers.contains(.startTLS) { text += "250-STARTTLS\r\n" }
        if !offers.isDisjoint(with: [.login, .external]) {
            text += "250-AUTH" + (offers.contains(.login) ? " PLAIN LOGIN" : "")
            text += (offers.contains(.external) ? " EXTERNAL" : "") + "\r\n"
        }
        if offers.contains(.naming) { text += "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n" }
        text += "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-DSN\r\n250 SMTPUTF8\r\n"
        return ByteBuffer(string: text)
    }
}

/// How long a client may take.
package struct ServerTimeouts: Sendable, Hashable {
    /// From our reply to the end of the next command, and for a TLS handshake.
    package var command: TimeAmount
    /// Between two pieces of content, and the head start before the data rate counts.
    package var data: TimeAmount
    /// For the content of one message.
    package var content: TimeAmount
    /// Octets of content a second, 1 or more.
    package var minimumRate: Int
    /// How long we wait for a client to read our last words when it is still sending.
    package var linger: TimeAmount

    package init(
        command: TimeAmount, data: TimeAmount, content: TimeAmount, minimumRate: Int, linger: TimeAmount = .seconds(2)
    ) {
        self.command = command
        self.data = data
        self.content = content
        self.minimumRate = max(1, minimumRate)
        self.linger = linger
    }

    /// How often deadlines are looked at; a client may be that late.
    var lookInterval: TimeAmount {
        let shortest = min(command, data, content, linger)
        return min(max(.nanoseconds(shortest.nanoseconds / 4), .milliseconds(1)), .seconds(1))
    }

    /// When content that began at `start` must have moved on.
    func contentDeadline(start: NIODeadline, lastRead: NIODeadline, octets: Int) -> NIODeadline {
        // At one octet a second 2^32 octets are over a century: further multiplication would only overflow.
        let earned = TimeAmount.milliseconds(Int64(min(octets, 1 << 32)) * 1_000 / Int64(minimumRate))
        return min(lastRead + data, start + data + earned, start + content)
    }
}
