import Foundation

/// RFC 4648 section 4.
package enum Base64 {
    package static func text(_ octets: [UInt8]) -> String { Data(octets).base64EncodedString() }

    /// White space is passed over; nil for what is no base64.
    package static func octets(_ text: String) -> [UInt8]? {
        Data(base64Encoded: text.filter { !$0.isWhitespace }).map(Array.init)
    }
}
