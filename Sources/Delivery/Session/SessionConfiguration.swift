package import NIOCore
package import NIOSSL
package import SMTP

/// How sessions are opened and how long they wait.
package struct SessionConfiguration: Sendable {
    package var connect: TimeAmount = .seconds(30)
    package var deadlines = ClientDeadlines()
    /// Who vouches for hosts where a verified certificate is demanded.
    package var roots: NIOSSLTrustRoots = .default

    package init() {}
}
