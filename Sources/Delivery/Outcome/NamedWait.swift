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
            guard let seconds = seconds(tokens[index...], before: before), (1...86_400).contains(seconds),
                !isPer(before), !afterInvitation || tokens[..<index].contains(where: isInvitation)
            else { continue }
            return .seconds(seconds)
        }
        return nil
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

    /// Of a number with its unit, or a time of the day's form, at the front of `tokens`.
    private static func seconds(_ tokens: ArraySlice<ArraySlice<UInt8>>, before: String) -> Int64? {
        guard let token = tokens.first else { return nil }
        let parts = token.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map(number)
        if parts.count == 3, let hours = parts[0], let minutes = parts[1], let rest = parts[2] {
            return hours * 3_600 + minutes * 60 + rest
        }
        guard parts.count == 1 else { return nil }
        let next = tokens.dropFirst().first.map(text) ?? ""
        guard tokens.dropFirst(2).first.map(text) != "ago" else { return nil }
        if let count = parts[0] ?? counted(text(token), before: before), let unit = unit(next) { return count * unit }
        // 300s, 5min
        let digits = token.prefix { $0 &- 48 < 10 }
        guard !digits.isEmpty, digits.count < token.count, let count = number(digits),
            let unit = unit(text(token.dropFirst(digits.count)))
        else { return nil }
        return count * unit
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
        if word == "a" || word == "an", !["in", "for", "after", "within", "wait", "about"].contains(before) {
            return nil
        }
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
