/// An address that a user has logged in from; of IPv6 a /64.
package struct KnownLogin: Sendable, Hashable {
    package var user: String
    package var address: IPAddress

    package init(user: String, address: IPAddress) {
        self.user = user
        self.address = address
    }
}
