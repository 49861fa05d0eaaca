import Mail

extension Field {
    /// A length of time with its unit: `500ms`, `30s`, `5m`, `24h`, `5d`.
    func span(_ range: ClosedRange<Timestamp.Span>) -> Timestamp.Span? {
        guard
            let span = value("a span such as 500ms, 30s, 5m, 24h or 5d (whole numbers, no space)", Units.span)
        else { return nil }
        guard range.contains(span) else {
            complain("must be from \(Units.text(range.lowerBound)) to \(Units.text(range.upperBound))")
            return nil
        }
        return span
    }

    /// A number of octets with its unit: `100B`, `256KB`, `50MB`, `1GB`; powers of 1,024.
    func size(_ range: ClosedRange<Int>) -> Int? {
        guard let size = value("a size such as 100B, 256KB, 50MB or 1GB (whole numbers, no space)", Units.size) else {
            return nil
        }
        guard range.contains(size) else {
            complain("must be from \(Units.text(octets: range.lowerBound)) to \(Units.text(octets: range.upperBound))")
            return nil
        }
        return size
    }

    /// An IPv4 or IPv6 address.
    func address() -> IPAddress? {
        value("an address such as 192.0.2.1 or 2001:db8::1") { IPAddress($0) }
    }

    /// A network; host bits that are set are an error, because they show that something else was meant.
    func network() -> IPNetwork? {
        guard
            let (text, network) = value(
                "a network such as 192.0.2.0/24 or 2001:db8::/48",
                { text in IPNetwork(text).map { (text, $0) } })
        else { return nil }
        if let slash = text.firstIndex(of: "/"), IPAddress(text[..<slash]) != network.base {
            complain("“\(text)” has bits set beyond its prefix; did you mean \(network)?")
            return nil
        }
        return network
    }

    /// A host name, given back in lower case.
    func hostName() -> String? {
        guard let text = string("a host name such as mail.example.com") else { return nil }
        if let reason = HostName.fault(in: text) {
            complain("“\(text)” is not a valid host name: \(reason)")
            return nil
        }
        return text.lowercased()
    }
}

/// Spans and sizes as they are written in files and shown to people.
enum Units {
    private static let spans: [(unit: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    private static let sizes: [(unit: String, octets: Int)] = [
        ("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30),
    ]

    /// nil when the text is not a whole number with a unit, or does not fit.
    static func span(_ text: String) -> Timestamp.Span? {
        guard let (number, unit) = split(text), let factor = spans.first(where: { $0.unit == unit })?.milliseconds
        else { return nil }
        let (product, overflow) = Int64(number).multipliedReportingOverflow(by: factor)
        return overflow ? nil : Timestamp.Span(milliseconds: product)
    }

    /// nil when the text is not a whole number with a unit, or does not fit.
    static func size(_ text: String) -> Int? {
        guard let (number, unit) = split(text), let factor = sizes.first(where: { $0.unit == unit })?.octets
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : product
    }

    /// The shortest exact way to write it: `90m`, `5d`.
    static func text(_ span: Timestamp.Span) -> String {
        let best = spans.last { span.milliseconds != 0 && span.milliseconds % $0.milliseconds == 0 } ?? ("s", 1_000)
        return "\(span.milliseconds / best.milliseconds)\(best.unit)"
    }

    /// The shortest exact way to write it: `50MB`.
    static func text(octets: Int) -> String {
        let best = sizes.last { octets != 0 && octets % $0.octets == 0 } ?? ("B", 1)
        return "\(octets / best.octets)\(best.unit)"
    }

    private static func split(_ text: String) -> (Int, Substring)? {
        let digits = text.utf8.prefix { (48...57).contains($0) }
        guard let number = Int(Substring(digits)) else { return nil }
        return (number, text[digits.endIndex...])
    }
}
