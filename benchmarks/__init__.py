"""Commands that print figures. Nothing here is asserted; docs say when and where a figure was measured."""
