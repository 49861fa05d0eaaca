import Mail
import Queue

/// What a change to the queue did, as it goes over the control socket.
struct SteeringReport: Codable, Sendable, Hashable {
    var verb: String
    var dryRun: Bool
    var messages: Int
    var recipients: Int
    /// Fitting works that there was nothing to change about.
    var unchanged: Int
    /// Works that were being sent.
    var onWire: Int
    /// Works that are being tried anyway.
    var inHand: Int
    var examples: [String]
    /// The one who asked went away before all was done.
    var broken: Bool
    var milliseconds: Int64

    init(_ count: SteeringCount, _ verb: SteeringOrder.Verb, isDry: Bool, milliseconds: Int64) {
        self.verb = verb.rawValue
        dryRun = isDry
        messages = count.messages
        recipients = count.recipients
        unchanged = count.unchanged
        onWire = count.onWire
        inHand = count.inHand
        examples = count.examples.map(\.description)
        broken = count.isBroken
        self.milliseconds = milliseconds
    }

    /// For a person.
    var lines: [String] {
        let done = SteeringOrder.Verb(rawValue: verb)?.done ?? verb
        var lines = [
            "\(dryRun ? "would be " : "")\(done): \(Amount.text(messages, "message")), "
                + Amount.text(recipients, "recipient")
        ]
        if dryRun, !examples.isEmpty { lines.append("such as \(examples.joined(separator: " "))") }
        if unchanged > 0 { lines.append("nothing to change: \(unchanged)") }
        if inHand > 0 { lines.append("being tried anyway: \(inHand)") }
        if onWire > 0 {
            lines.append(
                verb == "hold"
                    ? "being sent at this moment: \(onWire); what of it fails stays held"
                    : "being sent at this moment: \(onWire); what of it fails is held, run the command again for it")
        }
        return lines
    }
}

/// A number with its noun.
enum Amount {
    static func text(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}
