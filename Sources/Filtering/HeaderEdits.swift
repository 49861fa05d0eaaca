package import NIOCore

/// Carries out what a filter wants changed about a message, as far as no signature of its author covers it.
///
/// A field that a DKIM-Signature names in its `h=` (RFC 6376 section 3.5) is neither added, removed nor rewritten, a
/// signed body stays as it is: the receiver would take the message for a forgery.
package struct HeaderEdits {
    package private(set) var content: ByteBuffer
    /// What was done and what was not, for the trace.
    package private(set) var notes: [String] = []
    /// What was asked for and left out, since the author's signature covers it.
    package private(set) var spared: [Spared] = []
    /// Domains whose signatures the message has, each once (`d=`, RFC 6376 section 3.5); bounded.
    package private(set) var signers: [String] = []
    /// Octets above 127.
    package private(set) var eightBit: Bool

    /// Octets of ours before the client's.
    private let start: Int
    private var fields: [Field] = []
    /// Where the fields end.
    private var end: Int
    private var signed: Set<String> = []
    private var isSigned = false

    /// A wish of the filter's that a signature stands against.
    package struct Spared: Sendable, Hashable {
        package enum Wish: String, Sendable, CaseIterable {
            case add, remove, rewrite, replace

            /// What did not happen.
            fileprivate var done: String {
                switch self {
                case .add: "added"
                case .remove: "removed"
                case .rewrite: "rewritten"
                case .replace: "replaced"
                }
            }
        }

        package var wish: Wish
        /// Its name as the filter writes it, or `content`.
        package var field: String
    }

    private struct Field {
        /// In lower case.
        var name: String
        var range: Range<Int>
    }

    private static let notes = 20
    private static let spared = 100
    private static let signers = 10
    /// RFC 5322 section 2.1.1.
    private static let longestLine = 998

    /// - Parameter start: octets of `content` that are ours and stay.
    package init(content: ByteBuffer, start: Int, eightBit: Bool) {
        self.content = content
        self.eightBit = eightBit
        self.start = start
        end = start
        read()
    }

    package mutating func apply(_ changes: Verdict.Changes) {
        if let replacement = changes.content { replace(replacement) }
        var removed: Set<Int> = []
        for removal in changes.remove { remove(removal, &removed) }
        var added: [(name: String, value: String)] = []
        for field in changes.add { add(field.name, field.value, &added) }
        if let subject = changes.subject { rewrite(subject, &removed, &added) }
        guard !removed.isEmpty || !added.isEmpty else { return }
        write(removed, added)
    }

    // MARK: reading

    private mutating func read() {
        let bytes = content.readableBytesView
        let base = bytes.startIndex
        fields = []
        signed = []
        signers = []
        isSigned = false
        var place = base + start
        while place < bytes.endIndex, let feed = bytes[place...].firstIndex(of: 10) {
            let line = place..<feed + 1
            let first = bytes[place]
            if first == 13 || first == 10 { break }
            if first == 32 || first == 9 {
                guard !fields.isEmpty else { break }
                fields[fields.count - 1].range = fields[fields.count - 1].range.lowerBound..<line.upperBound - base
            } else {
                guard let colon = bytes[line].firstIndex(of: 58), colon > place else { break }
                let name = String(decoding: bytes[place..<colon], as: UTF8.self)
                    .lowercased().trimmedEnd
                fields.append(Field(name: name, range: line.lowerBound - base..<line.upperBound - base))
            }
            place = line.upperBound
        }
        end = place - base
        for field in fields where field.name == "dkim-signature" { note(signature: text(field)) }
    }

    private func text(_ field: Field) -> String {
        let bytes = content.readableBytesView
        let base = bytes.startIndex
        return String(decoding: bytes[base + field.range.lowerBound..<base + field.range.upperBound], as: UTF8.self)
    }

    /// The tag-list of RFC 6376 section 3.2; white space may stand anywhere between tags and names.
    private mutating func note(signature: String) {
        isSigned = true
        guard let colon = signature.firstIndex(of: ":") else { return }
        for tag in signature[signature.index(after: colon)...].split(separator: ";") {
            let parts = tag.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            switch parts[0].filter({ !$0.isWhitespace }).lowercased() {
            case "h":
                for name in parts[1].split(separator: ":") {
                    signed.insert(name.filter { !$0.isWhitespace }.lowercased())
                }
            case "d":
                let domain = String(parts[1].filter { !$0.isWhitespace }.lowercased().prefix(253))
                if signers.count < Self.signers, !signers.contains(domain) { signers.append(domain) }
            default: continue
            }
        }
    }

    // MARK: deciding

    private mutating func spare(_ wish: Spared.Wish, _ field: String) {
        note("\(field) not \(wish.done): its author has signed it")
        if spared.count < Self.spared { spared.append(Spared(wish: wish, field: String(field.prefix(76)))) }
    }

    private mutating func note(_ text: String) {
        if notes.count < Self.notes { notes.append(String(text.prefix(120))) }
    }

    /// - Returns: false, and says so, where a field is not ours to touch.
    private mutating func mayTouch(_ name: String, _ wish: Spared.Wish) -> Bool {
        let lower = name.lowercased()
        guard lower.utf8.allSatisfy({ (33...126).contains($0) && $0 != 58 }), (1...76).contains(lower.utf8.count) else {
            note("a field not \(wish.done): it has no name of one")
            return false
        }
        // What says where mail has been also ends its loops.
        if lower == "received" || lower == "dkim-signature" {
            note("\(name) not \(wish.done)")
            return false
        }
        if signed.contains(lower) {
            spare(wish, name)
            return false
        }
        return true
    }

    private mutating func remove(_ removal: Verdict.Changes.Removal, _ removed: inout Set<Int>) {
        let places = fields.indices.filter { fields[$0].name == removal.name.lowercased() }
        guard !places.isEmpty, mayTouch(removal.name, .remove) else { return }
        switch removal.which {
        case 0: removed.formUnion(places)
        case 1...places.count: removed.insert(places[removal.which - 1])
        case -places.count ... -1: removed.insert(places[places.count + removal.which])
        default: return
        }
        note("\(removal.name) removed")
    }

    private mutating func add(_ name: String, _ value: String, _ added: inout [(name: String, value: String)]) {
        guard mayTouch(name, .add) else { return }
        guard let value = Self.folded(value, after: name) else { return note("\(name) not added: no value of a field") }
        added.append((name, value))
        note("\(name) added")
    }

    private mutating func rewrite(
        _ subject: String, _ removed: inout Set<Int>, _ added: inout [(name: String, value: String)]
    ) {
        guard mayTouch("Subject", .rewrite) else { return }
        guard let value = Self.folded(subject, after: "Subject") else {
            return note("Subject not rewritten: no value of a field")
        }
        removed.formUnion(fields.indices.filter { fields[$0].name == "subject" })
        added.append(("Subject", value))
        note("Subject rewritten")
    }

    /// A value in lines that a header may have; nil where it cannot be one.
    private static func folded(_ value: String, after name: String) -> String? {
        var lines: [String] = []
        for line in value.split(omittingEmptySubsequences: true, whereSeparator: { $0.isNewline }) {
            let isFirst = lines.isEmpty
            let line = isFirst || line.first == " " || line.first == "\t" ? String(line) : "\t\(line)"
            guard line.utf8.allSatisfy({ (32...126).contains($0) || $0 == 9 }) else { return nil }
            // A line of white space alone would end nothing, and mean nothing.
            guard isFirst || line.contains(where: { !$0.isWhitespace }) else { continue }
            guard line.utf8.count + (isFirst ? name.utf8.count + 2 : 0) <= longestLine else { return nil }
            lines.append(line)
        }
        let whole = lines.joined(separator: "\r\n")
        return whole.utf8.count <= 16 << 10 ? whole : nil
    }

    // MARK: writing

    private mutating func write(_ removed: Set<Int>, _ added: [(name: String, value: String)]) {
        var whole = ByteBuffer()
        whole.reserveCapacity(content.readableBytes + 256)
        let base = content.readerIndex
        func copy(_ range: Range<Int>) {
            if let slice = content.getSlice(at: base + range.lowerBound, length: range.count) {
                whole.writeImmutableBuffer(slice)
            }
        }
        copy(0..<start)
        // On top: a signature counts its fields from below.
        for field in added { whole.writeString("\(field.name): \(field.value)\r\n") }
        for index in fields.indices where !removed.contains(index) { copy(fields[index].range) }
        copy(end..<content.readableBytes)
        content = whole
        read()
    }

    /// The whole message as a rule of the filter wants it.
    private mutating func replace(_ replacement: ByteBuffer) {
        guard !isSigned else { return spare(.replace, "content") }
        guard Self.isSound(replacement) else { return note("content not replaced: the filter's has bare line ends") }
        var whole = content.getSlice(at: content.readerIndex, length: start) ?? ByteBuffer()
        whole.writeImmutableBuffer(replacement)
        content = whole
        eightBit = replacement.readableBytesView.contains { $0 > 127 }
        note("content replaced")
        read()
    }

    /// What SMTP may carry: lines that end in CRLF, and no NUL (RFC 5321 section 2.3.8).
    private static func isSound(_ content: ByteBuffer) -> Bool {
        var last: UInt8 = 0
        var length = 0
        for octet in content.readableBytesView {
            if octet == 0 || (octet == 10) != (last == 13) { return false }
            length = octet == 10 ? 0 : length + 1
            if length > longestLine + 1 { return false }
            last = octet
        }
        return last == 10
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        String(reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
