"""CityGML + i-UR reading, codelists, data sets and editions."""
