package import Mail

/// An address that mail is sent from, with the name it gives itself.
package struct Source: Sendable, Hashable {
    /// `vienna-17`: the range's name and the member's number; unique in a map.
    package let name: String
    package let address: IPAddress
    package let ehlo: String
    /// The range that it is a member of: receivers judge neighbours together.
    package let range: String

    /// - Parameter range: nil: what stands before the number in its name.
    package init(name: String, address: IPAddress, ehlo: String, range: String? = nil) {
        self.name = name
        self.address = address
        self.ehlo = ehlo
        self.range = range ?? name.lastIndex(of: "-").map { String(name[..<$0]) } ?? name
    }

    /// It has no address of its own: the system chooses one of the machine's.
    package var isSystemsChoice: Bool {
        address == IPAddress(v4: 0) || address == IPAddress(high: 0, low: 0)
    }
}
