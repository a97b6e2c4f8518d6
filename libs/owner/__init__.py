"""What a service keeps, by data class of the policy: counted, swept, exported and erased in one way everywhere."""
