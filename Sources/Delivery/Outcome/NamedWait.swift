import Mail

extension ReplyText {
    /// The wait that a reply names, such as `in 5 minutes`, `für eine Stunde` or `in 00:05:00`; 1 s to 24 h, else nil.
    ///
    /// - Parameter afterInvitation: only where a word before it invites to come again or speaks of a block: other
    ///   replies name times of other things, such as how long they waited.
    static func namedWait(_ words: [UInt8], afterInvitation: Bool = false) -> Timestamp.Span? {
        let tokens = words.split { !isWordByte($0) && $0 != UInt8(ascii: ":") }
        // A reply that names more numbers than this is no sentence.
        var left = 16
        for (index, token) in tokens.enumerated() where left > 0 {
            guard mayCount(token) else { continue }
            left -= 1
            let before = index > 0 ? text(tokens[index - 1]) : ""
            let named = seconds(tokens[index...], before: before) ?? retryAfter(tokens[..<index], token)
            guard let seconds = named, (1...86_400).contains(seconds),
                !isPer(before), !afterInvitation || tokens[..<index].contains(where: isInvitation)
            else { continue }
            return .seconds(seconds)
        }
        return nil
    }

    /// `Retry-After: 300`, in seconds as in HTTP, where some policy daemons have it from.
    private static func retryAfter(_ tokens: ArraySlice<ArraySlice<UInt8>>, _ token: ArraySlice<UInt8>) -> Int64? {
        let words = tokens.suffix(2).map { text($0.last == UInt8(ascii: ":") ? $0.dropLast() : $0) }
        return words == ["retry", "after"] ? number(token) : nil
    }

    /// Whether it may be a number, by a look at its first letter: most words are none.
    private static func mayCount(_ token: ArraySlice<UInt8>) -> Bool {
        guard let first = token.first else { return false }
        if first &- 48 < 10 { return true }
        guard token.count <= longestNumber else { return false }
        return beginnings[Int(first)] & (1 << UInt16(token.count)) != 0
    }

    private static let numbers: [String: Int64] = [
        "a": 1, "an": 1, "one": 1, "eine": 1, "einer": 1, "une": 1, "una": 1, "uma": 1, "een": 1, "jedna": 1, "two": 2,
        "zwei": 2, "deux": 2, "dos": 2, "due": 2, "three": 3, "drei": 3, "trois": 3, "tres": 3, "tre": 3, "five": 5,
        "funf": 5, "fuenf": 5, "cinq": 5, "cinco": 5, "cinque": 5, "ten": 10, "zehn": 10, "dix": 10, "diez": 10,
        "dieci": 10, "fifteen": 15, "funfzehn": 15, "quinze": 15, "quince": 15, "thirty": 30, "dreissig": 30,
        "trente": 30, "treinta": 30, "trenta": 30,
    ]
    private static let longestNumber = 8
    /// The lengths of the numbers that begin with a byte.
    private static let beginnings: [UInt16] = {
        var lengths = [UInt16](repeating: 0, count: 256)
        for word in numbers.keys { lengths[Int(word.utf8.first ?? 0)] |= 1 << UInt16(word.utf8.count) }
        return lengths
    }()

    private static func text(_ token: ArraySlice<UInt8>) -> String { String(decoding: token, as: UTF8.self) }

    /// A rate or a time that is past, not a wait.
    private static func isPer(_ word: String) -> Bool {
        ["per", "every", "each", "last", "past", "previous", "pro", "par", "por", "letzten", "na", "za"].contains(word)
    }

    private static func isInvitation(_ token: ArraySlice<UInt8>) -> Bool {
        let stems = [
            "again", "retry", "retries", "try", "wait", "back", "later", "block", "ban", "list", "defer", "throttl",
            "erneut", "wieder", "warte", "gesperrt", "reessay", "essay", "attend", "bloqu", "intent", "reint", "esper",
            "riprov", "attend", "blocc", "tent", "aguard", "probeer", "wacht", "geblok", "sprobuj", "ponown", "zablok",
            "попроб", "повтор", "через", "заблок",
        ]
        let word = text(token)
        return stems.contains { word.hasPrefix($0) }
    }

    /// Of numbers with their units, `1 hour and 30 minutes`, or a time of the day's form, at the front of `tokens`.
    private static func seconds(_ tokens: ArraySlice<ArraySlice<UInt8>>, before: String) -> Int64? {
        guard let token = tokens.first else { return nil }
        let parts = token.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map(number)
        if parts.count == 3, let hours = parts[0], let minutes = parts[1], let rest = parts[2] {
            return hours * 3_600 + minutes * 60 + rest
        }
        guard parts.count == 1 else { return nil }
        var rest = tokens
        var total: Int64 = 0
        var least = Int64.max
        // Each unit is smaller than the one before it, so this ends.
        while let term = term(rest, before: total == 0 ? before : "and"), term.unit < least {
            total += term.seconds
            least = term.unit
            rest = rest.dropFirst(term.length)
            if let next = rest.first.map(text), conjunctions.contains(next) { rest = rest.dropFirst() }
        }
        return total == 0 || rest.first.map(text) == "ago" ? nil : total
    }

    private static let conjunctions: Set<String> = ["and", "und", "et", "y", "e", "en", "i", "и"]
    /// What may stand between a number and its unit, and by how much it divides the unit.
    private static let between: [String: Int64] = [
        "more": 1, "further": 1, "full": 1, "additional": 1, "weitere": 1, "weiteren": 1, "half": 2, "halbe": 2,
        "halben": 2, "demi": 2, "media": 2, "mezza": 2, "meia": 2, "halve": 2,
    ]

    /// A number and its unit: `5 minutes`, `300s`, `1h30m`, `half an hour`, `300 more seconds`.
    private static func term(
        _ tokens: ArraySlice<ArraySlice<UInt8>>, before: String
    ) -> (seconds: Int64, unit: Int64, length: Int)? {
        guard let token = tokens.first else { return nil }
        if let seconds = compact(token) { return (seconds, 1, 1) }
        guard let count = number(token) ?? counted(text(token), before: before) else { return nil }
        var length = 2
        var part: Int64 = before == "half" ? 2 : 1
        var next = tokens.dropFirst().first.map(text) ?? ""
        if let divisor = between[next] {
            part = divisor
            length = 3
            next = tokens.dropFirst(2).first.map(text) ?? ""
        }
        return unit(next).map { (count * $0 / part, $0, length) }
    }

    /// Digits and units in one word: 300s, 5min, 1h30m.
    private static func compact(_ token: ArraySlice<UInt8>) -> Int64? {
        var rest = token
        var total: Int64 = 0
        var least = Int64.max
        while !rest.isEmpty {
            let digits = rest.prefix { $0 &- 48 < 10 }
            let name = rest.dropFirst(digits.count).prefix { $0 &- 48 >= 10 }
            guard let count = number(digits), let unit = unit(text(name)), unit < least else { return nil }
            total += count * unit
            least = unit
            rest = rest.dropFirst(digits.count + name.count)
        }
        return total == 0 ? nil : total
    }

    /// One to five digits; nil otherwise.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard (1...5).contains(digits.count) else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard (48...57).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 48)
        }
        return value
    }

    /// Numbers in words. `an hour` is a wait only where something like `in` stands before it: there is `100 an hour`.
    private static func counted(_ word: String, before: String) -> Int64? {
        let inviting: Set = ["in", "for", "after", "within", "wait", "about", "half", "and"]
        if word == "a" || word == "an", !inviting.contains(before) { return nil }
        return numbers[word]
    }

    /// Seconds, minutes, hours and days in nine languages.
    private static func unit(_ name: String) -> Int64? {
        switch name {
        case "s", "sec", "secs": return 1
        case "m", "min", "mins", "мин": return 60
        case "h", "hr", "hrs", "uur", "uren", "ore", "ora", "час", "ч": return 3_600
        case "d", "day", "days", "tag", "tage", "tagen", "jour", "jours", "dia", "dias", "giorno", "giorni", "dag",
            "dagen", "dzien", "dni", "день", "дня", "дней":
            return 86_400
        default: break
        }
        let stems: [(String, Int64)] = [
            ("second", 1), ("sekund", 1), ("segund", 1), ("seconde", 1), ("secondi", 1), ("секунд", 1),
            ("minut", 60), ("минут", 60),
            ("hour", 3_600), ("stunde", 3_600), ("heure", 3_600), ("hora", 3_600), ("godzin", 3_600), ("часа", 3_600),
            ("часов", 3_600),
        ]
        return stems.first { name.hasPrefix($0.0) }?.1
    }
}
