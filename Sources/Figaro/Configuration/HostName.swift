import Mail

/// Host names as RFC 1123 section 2.1 and RFC 5321 section 4.1.2 have them.
enum HostName {
    /// What is wrong with it, in words; nil when it is a valid host name.
    static func fault(in name: some StringProtocol) -> String? {
        guard name.utf8.count <= 253 else { return "longer than 253 characters" }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        for label in labels {
            if label.isEmpty { return "a label is empty" }
            if label.utf8.count > 63 { return "the label “\(label)” is longer than 63 characters" }
            if let wrong = label.first(where: { !($0.isASCII && ($0.isLetter || $0.isNumber)) && $0 != "-" }) {
                return "“\(wrong)” is not a letter, digit or hyphen"
            }
            if label.first == "-" || label.last == "-" { return "the label “\(label)” begins or ends with a hyphen" }
        }
        if let last = labels.last, last.allSatisfy(\.isNumber) { return "its last label is a number" }
        return nil
    }
}
