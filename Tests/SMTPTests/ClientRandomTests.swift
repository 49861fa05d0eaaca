import Mail
import NIOCore
import Testing

@testable import SMTP

/// A generator that gives the same numbers for the same seed (SplitMix64).
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct ClientWithAnyHost {
    private static let codes = [220, 250, 250, 250, 250, 251, 354, 354, 421, 450, 452, 500, 502, 550, 554]

    /// One session with a host that says what comes to its mind. Every message gets exactly one end, content is written
    /// only when somebody is there to get it, and nothing happens after the end of the session.
    private func walk(_ seed: UInt64) {
        var random = Seeded(state: seed)
        let host = ClientTranscript([.never, .ifOffered, .always].randomElement(using: &random) ?? .never)
        let recipients = Int.random(in: 1...4, using: &random)
        var accepted = 0
        var waiting = false
        var over = false
        for _ in 0..<60 {
            var code = 0
            let before = host.waiting
            let action: ClientAction
            switch Int.random(in: 0..<40, using: &random) {
            case 0: action = host.isSilent()
            case 1: action = host.hangsUp()
            case 2: action = host.talksNonsense()
            case 3: action = host.close()
            case 4: action = host.agreesOnTLS()
            case 5...8: action = host.contentSent()
            case 9...15 where host.waiting == nil && !over && !waiting:
                action = host.send(recipients: recipients)
                if action == .mail || action == .envelope { waiting = true }
                accepted = 0
            default:
                code = Self.codes.randomElement(using: &random) ?? 250
                action = host.says("\(code) x\nPIPELINING\nSTARTTLS", more: Int.random(in: 0..<20, using: &random) == 0)
            }
            if before == .rcpt, (200..<300).contains(code) { accepted += 1 }
            if over {
                #expect([.wait, .drop].contains(action), "seed \(seed)")
                continue
            }
            switch action {
            case .content: #expect(waiting && accepted > 0, "seed \(seed)")
            case .loneDot: #expect(waiting && accepted == 0, "seed \(seed)")
            case .finished(let answers, let then):
                #expect(waiting && answers.count == recipients, "seed \(seed)")
                let delivered = answers.contains { answer in
                    if case .reply(let reply) = answer.answer {
                        answer.phase == .dot && reply.isPositive
                    } else {
                        false
                    }
                }
                #expect(
                    !delivered || (before == .dot && (200..<300).contains(code)), "seed \(seed)")
                waiting = false
                over = then != .stay
            case .failed, .closed:
                #expect(!waiting, "seed \(seed)")
                over = true
            default: break
            }
        }
    }

    @Test func `every message gets exactly one end, whatever the host says`() {
        for seed in 0..<5_000 {
            walk(UInt64(seed))
        }
    }

    @Test func `no octets bring the parser down`() {
        var random = Seeded(state: 7)
        let pieces = [
            "2", "50", " ", "-", "\r", "\n", "\r\n", "5.7.1", "x", "250 ok\r\n", "250-ok\r\n", "\u{202E}", "é",
        ]
        for _ in 0..<2_000 {
            var parser = ReplyParser()
            feeding: for _ in 0..<30 {
                var bytes = Array((pieces.randomElement(using: &random) ?? "").utf8)
                if Int.random(in: 0..<5, using: &random) == 0 { bytes.append(.random(in: 0...255, using: &random)) }
                parser.feed(ByteBuffer(bytes: bytes))
                while true {
                    switch parser.next() {
                    case .incomplete: continue feeding
                    case .nonsense: break feeding
                    case .reply(let code):
                        #expect((200...599).contains(code))
                        #expect(parser.reply().text.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 32 })
                    }
                }
            }
        }
    }
}
